/* The walls, each raised and tested in a child process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "walls/allocator.h"
#include "walls/filter.h"
#include "walls/landlock.h"
#include "walls/seal.h"

enum { GOOD, BAD, NOT_HERE };

/* What waitpid() says of a child that runs the function. */
static int in_child(int (*function)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(function());
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void expect_good(int (*function)(void))
{
    int status = in_child(function);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_HERE)
        skip();
    assert_int_equal(WEXITSTATUS(status), GOOD);
}

static bool version_is_at_least(const struct report *report, int version)
{
    int found = 0;
    return sscanf(report->rows[0].text, "version %d", &found) == 1 && found >= version;
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(descriptor, (const struct sockaddr *)&address, sizeof address);
    int reason = result == 0 ? 0 : errno;
    close(descriptor);
    return reason;
}

static int nothing_is_left(void)
{
    const uint16_t ports[] = {1};
    struct report report = REPORT_INIT;
    landlock_apply(&(struct landlock_exceptions){.ports = ports, .port_count = 1}, &report);
    if (!report.rows[0].stands)
        return NOT_HERE;
    bool good = open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES &&
                open("/tmp/immure-walls", O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES &&
                access("/etc", F_OK) == 0;
    if (version_is_at_least(&report, 4))
        good = good && connect_to(1) == ECONNREFUSED && connect_to(2) == EACCES;
    if (version_is_at_least(&report, 6))
        good = good && kill(getppid(), 0) != 0 && errno == EPERM && kill(getpid(), 0) == 0;
    return good ? GOOD : BAD;
}

static int exceptions_are_left(void)
{
    struct report report = REPORT_INIT;
    landlock_apply(&(struct landlock_exceptions){.files = true, .network = true}, &report);
    return open("/etc/passwd", O_RDONLY) >= 0 && connect_to(2) == ECONNREFUSED &&
                   report.count == 1 && !report.rows[0].stands
               ? GOOD
               : BAD;
}

static void landlock(void **state)
{
    (void)state;
    expect_good(nothing_is_left);
}

static void landlock_with_exceptions(void **state)
{
    (void)state;
    expect_good(exceptions_are_left);
}

static int sealed_memory_stays(void)
{
    struct report report = REPORT_INIT;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    seal_range("sealed", memory, page, &report);
    if (!report.rows[0].stands)
        return NOT_HERE;
    memory[0] = 1;
    bool good = munmap(memory, page) != 0 && mprotect(memory, page, PROT_READ) != 0;
    seal_code(&report);
    uintptr_t code = (uintptr_t)sealed_memory_stays / page * page;
    return good && report.rows[1].stands &&
                   mprotect((void *)code, page, PROT_READ | PROT_WRITE) != 0 && errno == EPERM
               ? GOOD
               : BAD;
}

static void sealed(void **state)
{
    (void)state;
    expect_good(sealed_memory_stays);
}

/* ---- system calls; a sanitizer's run time needs more calls ---- */

#ifndef IMMURE_SANITIZE

static const int few[] = {SCMP_SYS(write), SCMP_SYS(exit_group), SCMP_SYS(futex),
                          SCMP_SYS(getrandom), -1};

static int fill(scmp_filter_ctx filter, const void *arg)
{
    (void)arg;
    int result = filter_allow(filter, few);
    return result == 0 ? filter_allow_memory(filter) : result;
}

static bool close_doors(void)
{
    struct report report = REPORT_INIT;
    return filter_load(fill, NULL, &report) && report.rows[0].stands;
}

static int use_what_is_allowed(void)
{
    if (!close_doors())
        return BAD;
    void *memory = malloc(1 << 20);
    void *volatile kept = memory;
    free(kept);
    return memory != NULL ? GOOD : BAD;
}

static int open_a_file(void)
{
    return close_doors() ? open("/etc/passwd", O_RDONLY) : BAD;
}

static int map_code(void)
{
    if (!close_doors())
        return BAD;
    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return BAD;
}

static void shrink(void)
{
    for (int round = 0; round < 3; round++) {
        void *volatile blocks[32];
        for (size_t i = 0; i < 32; i++)
            blocks[i] = malloc(100000);
        for (size_t i = 32; i-- > 0;)
            free(blocks[i]);
    }
}

static atomic_bool begun, doors_closed, shrunk;

static void *shrink_behind_doors(void *arg)
{
    (void)arg;
    begun = true; /* the first system calls of the thread are behind it */
    while (!doors_closed)
        continue;
    shrink();
    shrunk = true;
    while (doors_closed) /* to end is another system call */
        continue;
    return NULL;
}

/* glibc has already read the files that it reads when a thread's heap first shrinks. */
static int shrink_a_heap(void)
{
    pthread_t thread;
    if (!allocator_settle(2) || pthread_create(&thread, NULL, shrink_behind_doors, NULL) != 0)
        return BAD;
    while (!begun)
        continue;
    bool closed = close_doors();
    doors_closed = true;
    while (closed && !shrunk)
        continue;
    return closed ? GOOD : BAD;
}

static void what_is_on_the_list(void **state)
{
    (void)state;
    expect_good(use_what_is_allowed);
}

static void what_is_not(void **state)
{
    (void)state;
    int (*const tried[])(void) = {open_a_file, map_code};
    for (size_t i = 0; i < sizeof tried / sizeof tried[0]; i++) {
        int status = in_child(tried[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    }
}

static void heaps_shrink_behind_doors(void **state)
{
    (void)state;
    expect_good(shrink_a_heap);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(landlock),
        cmocka_unit_test(landlock_with_exceptions),
        cmocka_unit_test(sealed),
#ifndef IMMURE_SANITIZE
        cmocka_unit_test(what_is_on_the_list),
        cmocka_unit_test(what_is_not),
        cmocka_unit_test(heaps_shrink_behind_doors),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
