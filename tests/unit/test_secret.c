/* Secret pages: what they hold, and that nothing of it is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keyd/secret.h"

static char file[] = "/tmp/test_secret_XXXXXX";

static void write_file(size_t length)
{
    FILE *out = fopen(file, "w");
    for (size_t i = 0; i < length; i++)
        fputc((int)(i % 251), out);
    assert_int_equal(fclose(out), 0);
}

static void files_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 9999, 10000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_file(sizes[i]);
        struct secret secret = SECRET_INIT;
        assert_true(secret_read(&secret, file, 10000));
        assert_int_equal(secret.length, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(secret.bytes[at], at % 251);
        secret_free(&secret);
        assert_null(secret.bytes);
        secret_free(&secret);
    }
    struct secret secret = SECRET_INIT;
    write_file(10001);
    assert_false(secret_read(&secret, file, 10000));
    assert_int_equal(errno, EFBIG);
    assert_null(secret.bytes);
    assert_false(secret_read(&secret, "/nonexistent", 10000));
    assert_int_equal(errno, ENOENT);
    assert_false(secret_read(&secret, "/tmp", 10000));
    assert_int_equal(errno, EISDIR);
}

/* The line of /proc/self/smaps that lists the kernel's flags of the mapping. */
static void flags_of(const void *address, char *flags, size_t size)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool within = false;
    flags[0] = '\0';
    while (fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            within = from <= (uintptr_t)address && (uintptr_t)address < to;
        else if (within && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, size, "%.*s", (int)size - 1, line + 8);
    }
    fclose(maps);
}

static void pages_are_kept_out_of_cores_and_children(void **state)
{
    (void)state;
    struct secret secret = SECRET_INIT;
    assert_true(secret_new(&secret, 100));
    memset(secret.bytes, 0x5a, 100);
    char flags[256];
    flags_of(secret.bytes, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd")); /* not in core files */
    assert_non_null(strstr(flags, " wf")); /* wiped in a child */
    pid_t child = fork();
    if (child == 0)
        _exit(secret.bytes[0] == 0 && secret.bytes[99] == 0 ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    secret_free(&secret);
}

static int set_up(void **state)
{
    (void)state;
    int descriptor = mkstemp(file);
    close(descriptor);
    return descriptor < 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_every_size),
        cmocka_unit_test(pages_are_kept_out_of_cores_and_children),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
