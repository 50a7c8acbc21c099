/*
 * The environment of a spawned immured. This program plays immured, too: started under the name
 * "immured", it reports its environment, one fact per line, to its session or to whoever connects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/file_table.h"
#include "immure/spawn.h"

#define REPORT_SIZE 8192
#define WAIT_MS 20000

static const char *option(char **argv, const char *name)
{
    for (; *argv != NULL; argv++)
        if (strcmp(*argv, name) == 0)
            return argv[1];
    return NULL;
}

static void report_descriptors(FILE *report)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    fprintf(report, "descriptors:");
    while ((entry = readdir(directory)) != NULL) {
        int number = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && number != dirfd(directory))
            fprintf(report, " %d", number);
    }
    fprintf(report, "\n");
    closedir(directory);
}

static void report_signals(FILE *report)
{
    sigset_t mask;
    struct sigaction action;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigaction(SIGPIPE, NULL, &action);
    fprintf(report, "SIGUSR1 %s, SIGPIPE %s\n",
            sigismember(&mask, SIGUSR1) ? "blocked" : "not blocked",
            action.sa_handler == SIG_DFL ? "default" : "not default");
}

static void report_config(FILE *report, const char *path)
{
    char text[1024];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    close(file);
    file = open(path, O_RDWR | O_CLOEXEC);
    bool changed = file >= 0 && (write(file, "x", 1) == 1 || ftruncate(file, 0) == 0);
    close(file);
    fprintf(report, "config: %s%s\n", text, changed ? " (can be changed)" : "");
}

/* What is in the files that the list names, or why they are not there. */
static void report_files(FILE *report, const char *list)
{
    struct file_table files = FILE_TABLE_INIT;
    if (list == NULL || !file_table_receive(&files, atoi(list)))
        return;
    for (size_t i = 0; i < files.count; i++) {
        char text[64] = "";
        int number = file_table_find(&files, files.files[i].name);
        int reason = errno;
        ssize_t length = number >= 0 ? pread(number, text, sizeof text - 1, 0) : 0;
        fprintf(report, "file \"%s\": %.*s\n", files.files[i].name, (int)sizeof text,
                length > 0 ? text : strerror(reason));
    }
    file_table_close(&files);
}

static int play_immured(int argc, char **argv)
{
    extern char **environ;
    char text[REPORT_SIZE];
    FILE *report = fmemopen(text, sizeof text, "w");
    report_descriptors(report);
    fprintf(report, "arguments:");
    for (int i = 0; i < argc; i++)
        fprintf(report, " %s", argv[i]);
    fprintf(report, "\nenvironment %s\n", environ[0] == NULL ? "empty" : "not empty");
    report_signals(report);
    report_config(report, option(argv, "--config"));
    report_files(report, option(argv, "--files-fd"));
    fclose(report);

    const char *session = option(argv, "--session-fd"), *listener = option(argv, "--listen-fd");
    if (session != NULL && write(atoi(session), text, strlen(text)) < 0)
        return 1;
    if (session == NULL) {
        int connection = accept(atoi(listener), NULL, NULL);
        if (write(connection, text, strlen(text)) < 0)
            return 1;
    }
    return 42;
}

/* Until end of file. */
static void read_report(int descriptor, char *text)
{
    size_t length = 0;
    for (;;) {
        struct pollfd ready = {.fd = descriptor, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
        ssize_t received = read(descriptor, text + length, REPORT_SIZE - 1 - length);
        assert_true(received >= 0);
        length += (size_t)received;
        if (received == 0)
            break;
    }
    text[length] = '\0';
}

static void assert_line(const char *report, const char *line)
{
    if (strstr(report, line) == NULL)
        fail_msg("no \"%s\" in:\n%s", line, report);
}

static void assert_ends_with_42(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

/* Things that the child must not inherit. */
static int make_surroundings(void **state)
{
    (void)state;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    setenv("SECRET", "value", 1);
    for (int number = 3; number < 20; number += 3)
        dup2(STDERR_FILENO, number);
    return 0;
}

static void test_socket_pair(void **state)
{
    (void)state;
    struct immure_spawn_options options = {.program = "/proc/self/exe",
                                           .config = "threads = 2\n",
                                           .listener = -1,
                                           .socket_pair = true};
    pid_t pid;
    int session;
    assert_int_equal(immure_spawn(&options, &pid, &session), IMMURE_OK);
    assert_int_not_equal(fcntl(session, F_GETFL) & O_NONBLOCK, 0);
    assert_int_not_equal(fcntl(session, F_GETFD) & FD_CLOEXEC, 0);
    char report[REPORT_SIZE];
    read_report(session, report);
    assert_line(report, "descriptors: 0 1 2 3 4\n");
    assert_line(report, "arguments: immured --config /dev/fd/3 --session-fd 4\n");
    assert_line(report, "environment empty\n");
    assert_line(report, "SIGUSR1 not blocked, SIGPIPE default\n");
    assert_line(report, "config: threads = 2\n\n");
    close(session);
    assert_ends_with_42(pid);
}

static int listen_somewhere(struct sockaddr_un *address, socklen_t *length)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *length = sizeof(sa_family_t); /* the kernel chooses an abstract name */
    assert_int_equal(bind(listener, (const struct sockaddr *)address, *length), 0);
    assert_int_equal(listen(listener, 5), 0);
    *length = sizeof *address;
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, length), 0);
    return listener;
}

static void test_listener(void **state)
{
    (void)state;
    struct sockaddr_un address;
    socklen_t length;
    int listener = listen_somewhere(&address, &length);
    struct immure_spawn_options options = {
        .program = "/proc/self/exe", .config = "", .listener = listener};
    pid_t pid;
    assert_int_equal(immure_spawn(&options, &pid, NULL), IMMURE_OK);
    assert_int_not_equal(fcntl(listener, F_GETFD) & FD_CLOEXEC, 0); /* still the caller's */
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(connection, (const struct sockaddr *)&address, length), 0);
    char report[REPORT_SIZE];
    read_report(connection, report);
    assert_line(report, "descriptors: 0 1 2 3 4\n");
    assert_line(report, "arguments: immured --config /dev/fd/3 --listen-fd 4\n");
    close(connection);
    close(listener);
    assert_ends_with_42(pid);
}

static void test_listener_and_socket_pair(void **state)
{
    (void)state;
    struct sockaddr_un address;
    socklen_t length;
    int listener = listen_somewhere(&address, &length), session;
    struct immure_spawn_options options = {
        .program = "/proc/self/exe", .config = "x", .listener = listener, .socket_pair = true};
    pid_t pid;
    assert_int_equal(immure_spawn(&options, &pid, &session), IMMURE_OK);
    char report[REPORT_SIZE];
    read_report(session, report);
    assert_line(report, "descriptors: 0 1 2 3 4 5\n");
    assert_line(report, "arguments: immured --config /dev/fd/3 --listen-fd 4 --session-fd 5\n");
    close(session);
    close(listener);
    assert_ends_with_42(pid);
}

static void test_files(void **state)
{
    (void)state;
    int one = descriptor_of_bytes("one", "first", 5), two = descriptor_of_bytes("two", "second", 6);
    assert_true(one >= 0 && two >= 0);
    const struct immure_spawn_file files[] = {
        {"/a b\nc", one}, {"/gone", -ENOENT}, {"", two}, {"/not permitted", -EPERM}};
    struct immure_spawn_options options = {.program = "/proc/self/exe",
                                           .config = "x",
                                           .listener = -1,
                                           .socket_pair = true,
                                           .files = files,
                                           .file_count = sizeof files / sizeof files[0]};
    pid_t pid;
    int session;
    assert_int_equal(immure_spawn(&options, &pid, &session), IMMURE_OK);
    assert_int_not_equal(fcntl(one, F_GETFD) & FD_CLOEXEC, 0); /* still the caller's */
    char report[REPORT_SIZE];
    read_report(session, report);
    assert_line(report, "descriptors: 0 1 2 3 4 5 6 7\n");
    assert_line(report, "arguments: immured --config /dev/fd/3 --files-fd 6 --session-fd 7\n");
    assert_line(report, "file \"/a b\nc\": first\n");
    assert_line(report, "file \"/gone\": No such file or directory\n");
    assert_line(report, "file \"\": second\n");
    assert_line(report, "file \"/not permitted\": Operation not permitted\n");
    close(session);
    close(one);
    close(two);
    assert_ends_with_42(pid);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int number = 0; number < 256; number++)
        count += fcntl(number, F_GETFD) >= 0;
    return count;
}

static void test_failures_leave_nothing(void **state)
{
    (void)state;
    size_t before = open_descriptors();
    struct immure_spawn_options options = {
        .program = "/nonexistent/immured", .config = "x", .listener = -1, .socket_pair = true};
    pid_t pid;
    int session = -1;
    assert_int_equal(immure_spawn(&options, &pid, &session), IMMURE_E_IO);
    assert_int_equal(errno, ENOENT);
    options.program = "/proc/self/exe";
    options.files = &(const struct immure_spawn_file){"/a", 250}; /* not open */
    options.file_count = 1;
    assert_int_equal(immure_spawn(&options, &pid, &session), IMMURE_E_IO);
    assert_int_equal(errno, EBADF);
    options.files = NULL;
    options.file_count = 0;
    options.listener = 250;
    assert_int_equal(immure_spawn(&options, &pid, &session), IMMURE_E_IO);
    assert_int_equal(errno, EBADF);
    assert_int_equal(session, -1);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "immured") == 0)
        return play_immured(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket_pair),
        cmocka_unit_test(test_listener),
        cmocka_unit_test(test_listener_and_socket_pair),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_surroundings, NULL);
}
