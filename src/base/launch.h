/*
 * Another program, started with nothing but what it is given: standard input and output are
 * /dev/null, standard error is inherited, then come the descriptors that it is given, in that order
 * from 3 on. Its environment is empty. posix_spawn(3): safe in a threaded process.
 *
 *     launch_begin, launch_give*, launch_run; or launch_drop instead of the last
 */
#ifndef BASE_LAUNCH_H
#define BASE_LAUNCH_H

#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LAUNCH_OPTIONS_MAX 8
#define LAUNCH_ARGUMENT_SIZE 24

struct launch {
    posix_spawn_file_actions_t actions;
    int *given; /* copies of what the program gets, in the caller */
    size_t given_count, given_max;
    char arguments[LAUNCH_OPTIONS_MAX][LAUNCH_ARGUMENT_SIZE];
    char *argv[2 + 2 * LAUNCH_OPTIONS_MAX];
    size_t argument_count, option_count;
};

/* `name`: its argv[0]. At most `most` descriptors will be given. All that return bool: false with
 * errno; then launch_drop() is due, but after launch_begin(). */
bool launch_begin(struct launch *launch, const char *name, size_t most);
/* A descriptor, which stays the caller's; *number: what it is to the program. */
bool launch_give_descriptor(struct launch *launch, int descriptor, int *number);
/* Appends `option` to its command line, and `value`; both stay where they are. */
void launch_set(struct launch *launch, char *option, char *value);
/* The same with a descriptor's number behind `prefix` as the value. */
bool launch_give(struct launch *launch, char *option, const char *prefix, int descriptor);
/* The same with one of a file that holds these bytes. */
bool launch_give_bytes(struct launch *launch, char *option, const char *prefix, const void *bytes,
                       size_t length);
/* Starts the program, with these signals blocked, and drops the rest. */
bool launch_run(struct launch *launch, const char *program, const sigset_t *blocked, pid_t *pid);
/* Leaves errno as it is. */
void launch_drop(struct launch *launch);

#endif
