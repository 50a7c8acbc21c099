/*
 * Starts an immured of one's own.
 */
#ifndef IMMURE_SPAWN_H
#define IMMURE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "immure/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A file that the configuration names, opened by the caller. */
struct immure_spawn_file {
    const char *name; /* as the configuration has it */
    int descriptor;   /* of a regular file, open for reading; it stays the caller's. Or -errno, if
                         it could not be opened: immured then reports why */
};

struct immure_spawn_options {
    const char *program; /* path of immured; not searched for in PATH */
    const char *config;  /* the text of a configuration for immured (immured.conf(5)); copied */
    int listener;     /* a listening unix stream socket that immured accepts on as well, or -1; it
                         stays the caller's, so that the next immured takes over its backlog */
    bool socket_pair; /* whether to connect over a socket pair */
    const struct immure_spawn_file *files; /* all files that immured reads: keys, pass phrases and
                                              so on; or NULL: it opens them itself, by name */
    size_t file_count;
};

/*
 * *pid is a child of the caller, who waits for it. *fd (fd may be NULL without socket_pair) is the
 * caller's end of the socket pair, close-on-exec and non-blocking. immured inherits standard error
 * and no other descriptor. An immured without a listener ends when its last connection ends.
 *
 * IMMURE_OK, or IMMURE_E_IO, and errno says why. If immured then rejects its configuration, it
 * prints one line about it on standard error and exits, and *fd is at end of file.
 *
 * Any thread. Uses vfork semantics (posix_spawn): safe in a threaded process.
 */
enum immure_error immure_spawn(const struct immure_spawn_options *options, pid_t *pid, int *fd);

#ifdef __cplusplus
}
#endif

#endif
