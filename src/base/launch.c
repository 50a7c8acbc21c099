#include "base/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/descriptor.h"

#define FIRST_GIVEN 3

bool launch_begin(struct launch *launch, const char *name, size_t most)
{
    *launch = (struct launch){.given_max = most, .given = calloc(most, sizeof(int))};
    errno = launch->given != NULL ? posix_spawn_file_actions_init(&launch->actions) : ENOMEM;
    if (errno != 0) {
        free(launch->given);
        return false;
    }
    launch->argv[launch->argument_count++] = (char *)name;
    return true;
}

bool launch_give_descriptor(struct launch *launch, int descriptor, int *number)
{
    /* the copies get numbers above all of the program's, so that no dup2() overwrites one of
     * them */
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, FIRST_GIVEN + (int)launch->given_max);
    if (copy < 0)
        return false;
    *number = FIRST_GIVEN + (int)launch->given_count;
    launch->given[launch->given_count++] = copy;
    errno = posix_spawn_file_actions_adddup2(&launch->actions, copy, *number);
    return errno == 0;
}

void launch_set(struct launch *launch, char *option, char *value)
{
    launch->argv[launch->argument_count++] = option;
    launch->argv[launch->argument_count++] = value;
    launch->option_count++;
}

bool launch_give(struct launch *launch, char *option, const char *prefix, int descriptor)
{
    int number;
    if (!launch_give_descriptor(launch, descriptor, &number))
        return false;
    char *argument = launch->arguments[launch->option_count];
    snprintf(argument, LAUNCH_ARGUMENT_SIZE, "%s%d", prefix, number);
    launch_set(launch, option, argument);
    return true;
}

bool launch_give_bytes(struct launch *launch, char *option, const char *prefix, const void *bytes,
                       size_t length)
{
    int file = descriptor_of_bytes(option, bytes, length);
    if (file < 0)
        return false;
    bool given = launch_give(launch, option, prefix, file);
    int reason = errno;
    close(file);
    errno = reason;
    return given;
}

static bool add_standard_streams(struct launch *launch)
{
    errno = 0;
    for (int i = STDIN_FILENO; errno == 0 && i <= STDOUT_FILENO; i++)
        errno = posix_spawn_file_actions_addopen(&launch->actions, i, "/dev/null", O_RDWR, 0);
    if (errno == 0)
        errno = posix_spawn_file_actions_addclosefrom_np(&launch->actions,
                                                         FIRST_GIVEN + (int)launch->given_count);
    return errno == 0;
}

/* The program inherits neither the caller's signal mask nor its dispositions. */
static bool set_signals(posix_spawnattr_t *attributes, const sigset_t *blocked)
{
    sigset_t all;
    sigfillset(&all);
    errno = posix_spawnattr_setsigmask(attributes, blocked);
    if (errno == 0)
        errno = posix_spawnattr_setsigdefault(attributes, &all);
    if (errno == 0)
        errno =
            posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return errno == 0;
}

bool launch_run(struct launch *launch, const char *program, const sigset_t *blocked, pid_t *pid)
{
    static char *const no_environment[] = {NULL};
    posix_spawnattr_t attributes;
    bool started = false;
    errno = posix_spawnattr_init(&attributes);
    if (errno == 0) {
        if (add_standard_streams(launch) && set_signals(&attributes, blocked)) {
            errno = posix_spawn(pid, program, &launch->actions, &attributes, launch->argv,
                                no_environment);
            started = errno == 0;
        }
        int reason = errno;
        posix_spawnattr_destroy(&attributes);
        errno = reason;
    }
    launch_drop(launch);
    return started;
}

void launch_drop(struct launch *launch)
{
    int reason = errno;
    for (size_t i = 0; i < launch->given_count; i++)
        close(launch->given[i]);
    free(launch->given);
    posix_spawn_file_actions_destroy(&launch->actions);
    errno = reason;
}
