#include "immure/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"

/* In the child: 0 and 1 are /dev/null, 2 is inherited, and from here on what it is given. */
#define FIRST_GIVEN 3
#define GIVEN_MAX 3
/* What is given waits above those numbers, so that no dup2 in the child overwrites another. */
#define ABOVE_GIVEN (FIRST_GIVEN + GIVEN_MAX)

#define ARGUMENT_SIZE 24

struct child {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int given[GIVEN_MAX]; /* copies of what the child gets, in the caller */
    int given_count;
    char arguments[GIVEN_MAX][ARGUMENT_SIZE];
    char *argv[2 + 2 * GIVEN_MAX];
    int argc;
};

/* Appends `option`, and `prefix` with the descriptor's number in the child, to the command line. */
static bool child_give(struct child *child, char *option, const char *prefix, int descriptor)
{
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, ABOVE_GIVEN);
    if (copy < 0)
        return false;
    int number = FIRST_GIVEN + child->given_count;
    char *argument = child->arguments[child->given_count];
    child->given[child->given_count++] = copy;
    snprintf(argument, ARGUMENT_SIZE, "%s%d", prefix, number);
    child->argv[child->argc++] = option;
    child->argv[child->argc++] = argument;
    errno = posix_spawn_file_actions_adddup2(&child->actions, copy, number);
    return errno == 0;
}

/* The text as a file without a name that nobody can change any more; -1 with errno. */
static int config_file(const char *text)
{
    int file = memfd_create("immured.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0)
        return -1;
    size_t length = strlen(text), done = 0;
    while (done < length) {
        ssize_t written = write(file, text + done, length - done);
        if (written < 0 && errno != EINTR)
            goto failed;
        done += written > 0 ? (size_t)written : 0;
    }
    if (lseek(file, 0, SEEK_SET) == 0 &&
        fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
        return file;
failed:
    descriptor_close(&file);
    return -1;
}

static bool child_give_config(struct child *child, const char *text)
{
    int file = config_file(text);
    if (file < 0)
        return false;
    bool given = child_give(child, "--config", "/dev/fd/", file);
    int reason = errno;
    close(file);
    errno = reason;
    return given;
}

/* Nothing of the caller's but standard error: descriptors, signal mask, dispositions. */
static bool child_forget_caller(struct child *child)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    errno = posix_spawnattr_setsigmask(&child->attributes, &none);
    if (errno == 0)
        errno = posix_spawnattr_setsigdefault(&child->attributes, &all);
    if (errno == 0)
        errno = posix_spawnattr_setflags(&child->attributes,
                                         POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    for (int i = STDIN_FILENO; errno == 0 && i <= STDOUT_FILENO; i++)
        errno = posix_spawn_file_actions_addopen(&child->actions, i, "/dev/null", O_RDWR, 0);
    if (errno == 0)
        errno = posix_spawn_file_actions_addclosefrom_np(&child->actions,
                                                         FIRST_GIVEN + child->given_count);
    return errno == 0;
}

static bool child_prepare(struct child *child, const struct immure_spawn_options *options,
                          int session)
{
    child->argv[child->argc++] = "immured";
    return child_give_config(child, options->config) &&
           (options->listener < 0 || child_give(child, "--listen-fd", "", options->listener)) &&
           (session < 0 || child_give(child, "--session-fd", "", session)) &&
           child_forget_caller(child);
}

static bool child_start(const struct immure_spawn_options *options, int session, pid_t *pid)
{
    static char *const no_environment[] = {NULL};
    struct child child = {.argc = 0};
    bool started = false;
    errno = posix_spawn_file_actions_init(&child.actions);
    if (errno != 0)
        return false;
    errno = posix_spawnattr_init(&child.attributes);
    if (errno == 0) {
        if (child_prepare(&child, options, session)) {
            errno = posix_spawn(pid, options->program, &child.actions, &child.attributes,
                                child.argv, no_environment);
            started = errno == 0;
        }
        int reason = errno;
        posix_spawnattr_destroy(&child.attributes);
        errno = reason;
    }
    int reason = errno;
    for (int i = 0; i < child.given_count; i++)
        close(child.given[i]);
    posix_spawn_file_actions_destroy(&child.actions);
    errno = reason;
    return started;
}

enum immure_error immure_spawn(const struct immure_spawn_options *options, pid_t *pid, int *fd)
{
    int ends[2] = {-1, -1};
    bool started = false;
    if (!options->socket_pair || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0)
        started = (ends[0] < 0 || descriptor_set_nonblocking(ends[0], true)) &&
                  child_start(options, ends[1], pid);
    int reason = errno;
    descriptor_close(&ends[1]);
    if (!started)
        descriptor_close(&ends[0]);
    errno = reason;
    if (started && fd != NULL)
        *fd = ends[0];
    return started ? IMMURE_OK : IMMURE_E_IO;
}
