#include "immure/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/file_table.h"

/* In the child: 0 and 1 are /dev/null, 2 is inherited, and from here on what it is given. */
#define FIRST_GIVEN 3
#define OPTIONS_MAX 4 /* that have a descriptor */

#define ARGUMENT_SIZE 24

struct child {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int *given; /* copies of what the child gets, in the caller */
    int given_count;
    int above; /* the numbers that the child gets: copies are there, so that no dup2 in it
                  overwrites another */
    char arguments[OPTIONS_MAX][ARGUMENT_SIZE];
    char *argv[2 + 2 * OPTIONS_MAX];
    int argc;
};

/* *number: the descriptor's in the child. */
static bool child_give_descriptor(struct child *child, int descriptor, int *number)
{
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, child->above);
    if (copy < 0)
        return false;
    *number = FIRST_GIVEN + child->given_count;
    child->given[child->given_count++] = copy;
    errno = posix_spawn_file_actions_adddup2(&child->actions, copy, *number);
    return errno == 0;
}

/* Appends `option`, and `prefix` with the descriptor's number in the child, to the command line. */
static bool child_give(struct child *child, char *option, const char *prefix, int descriptor)
{
    int number;
    if (!child_give_descriptor(child, descriptor, &number))
        return false;
    char *argument = child->arguments[child->argc / 2];
    snprintf(argument, ARGUMENT_SIZE, "%s%d", prefix, number);
    child->argv[child->argc++] = option;
    child->argv[child->argc++] = argument;
    return true;
}

/* The same of a file that holds these bytes. */
static bool child_give_bytes(struct child *child, char *option, const char *prefix,
                             const void *bytes, size_t length)
{
    int file = descriptor_of_bytes(option, bytes, length);
    if (file < 0)
        return false;
    bool given = child_give(child, option, prefix, file);
    int reason = errno;
    close(file);
    errno = reason;
    return given;
}

static bool child_give_files(struct child *child, const struct immure_spawn_options *options)
{
    char *list = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&list, &length);
    if (out == NULL)
        return false;
    bool good = true;
    for (size_t i = 0; good && i < options->file_count; i++) {
        const struct immure_spawn_file *file = &options->files[i];
        int number = file->descriptor;
        good = number < 0 || child_give_descriptor(child, number, &number);
        file_table_put(out, file->name, number);
    }
    int reason = errno;
    if (fclose(out) != 0 && good) {
        good = false;
        reason = errno;
    }
    errno = reason;
    good = good && child_give_bytes(child, "--files-fd", "", list, length);
    reason = errno;
    free(list);
    errno = reason;
    return good;
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
    return child_give_bytes(child, "--config", "/dev/fd/", options->config,
                            strlen(options->config)) &&
           (options->files == NULL || child_give_files(child, options)) &&
           (options->listener < 0 || child_give(child, "--listen-fd", "", options->listener)) &&
           (session < 0 || child_give(child, "--session-fd", "", session)) &&
           child_forget_caller(child);
}

static bool child_start(const struct immure_spawn_options *options, int session, pid_t *pid)
{
    static char *const no_environment[] = {NULL};
    size_t most = OPTIONS_MAX + options->file_count;
    struct child child = {.above = FIRST_GIVEN + (int)most, .given = calloc(most, sizeof(int))};
    bool started = false;
    errno = child.given != NULL ? posix_spawn_file_actions_init(&child.actions) : ENOMEM;
    if (errno != 0) {
        free(child.given);
        return false;
    }
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
    free(child.given);
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
