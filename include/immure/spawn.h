/*
 * Start an immured of one's own.
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
    int descriptor;   /* of a regular file, to be read; stays the caller's. Or -errno: why it could
                         not be opened, for immured to say */
};

struct immure_spawn_options {
    const char *program; /* path of immured; not searched for in PATH */
    const char *config;  /* the text of a configuration for immured (immured.conf(5)); copied */
    int listener;     /* a listening unix stream socket that immured shall accept on as well, or -1;
                         stays the caller's, so that the next immured goes on with its backlog */
    bool socket_pair; /* whether to connect over a socket pair */
    const struct immure_spawn_file *files; /* all key, pass-phrase and other files that immured
                                              reads; or NULL: it opens them itself, by name */
    size_t file_count;
};

/*
 * Starts it: *pid is a child of the caller, to be waited for by the caller; *fd (may be NULL
 * without socket_pair) is the caller's end of the socket pair, close-on-exec and non-blocking. All
 * other descriptors stay behind; standard error is inherited. When the last connection of an
 * immured without a listener ends, it ends too.
 *
 * IMMURE_E_IO (errno says why) or IMMURE_OK. That immured then refuses its configuration shows as
 * its exit status and as end of file on *fd; its one line about it is on standard error.
 *
 * Any thread. Uses vfork semantics (posix_spawn): safe in a threaded process.
 */
enum immure_error immure_spawn(const struct immure_spawn_options *options, pid_t *pid, int *fd);

#ifdef __cplusplus
}
#endif

#endif
