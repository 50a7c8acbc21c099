/*
 * Starts another program that inherits nothing but what it is given: standard input and output are
 * /dev/null, standard error is inherited, and the descriptors that it is given follow from 3 on, in
 * the order of the calls. Its environment is empty. It uses posix_spawn(3), so it is safe in a
 * threaded process.
 *
 *     launch_begin, launch_give*, then launch_run or launch_drop
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
    int *given; /* the caller's copies of the descriptors that the program gets */
    size_t given_count, given_max;
    char arguments[LAUNCH_OPTIONS_MAX][LAUNCH_ARGUMENT_SIZE];
    char *argv[2 + 2 * LAUNCH_OPTIONS_MAX];
    size_t argument_count, option_count;
};

/* `name` is its argv[0]; at most `most` descriptors may be given. All functions that return bool
 * return false with errno. After a failure of any but launch_begin() and launch_run(), the caller
 * calls launch_drop(). */
bool launch_begin(struct launch *launch, const char *name, size_t most);
/* Gives the program a copy of the caller's descriptor; *number is its number in the program. */
bool launch_give_descriptor(struct launch *launch, int descriptor, int *number);
/* Appends `option` and `value` to its command line. Neither is copied. */
void launch_set(struct launch *launch, char *option, char *value);
/* Gives a descriptor, and appends `option` with `prefix` and the descriptor's number as the
 * value. */
bool launch_give(struct launch *launch, char *option, const char *prefix, int descriptor);
/* The same with the descriptor of a memory file that holds these bytes. */
bool launch_give_bytes(struct launch *launch, char *option, const char *prefix, const void *bytes,
                       size_t length);
/* Starts the program with these signals blocked, and calls launch_drop() in any case. */
bool launch_run(struct launch *launch, const char *program, const sigset_t *blocked, pid_t *pid);
/* Releases everything. Preserves errno. */
void launch_drop(struct launch *launch);

#endif
