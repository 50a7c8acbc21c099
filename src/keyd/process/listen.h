/* The unix socket that clients connect to by its path. */
#ifndef KEYD_PROCESS_LISTEN_H
#define KEYD_PROCESS_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Binds and listens; who has write permission by `mode` may connect. A file left by
 * an immured that is gone is replaced; one that somebody serves is not, unless that ends within a
 * second, as the key process of a supervisor does that was killed. -1: reason logged.
 */
int listen_unix(const char *path, mode_t mode);

/*
 * The listening socket that a service manager passes to this process (sd_listen_fds(3)), close on
 * exec; *socket is -1 if there is none. The variables that say so leave the environment. False:
 * what was passed is something else, reason logged.
 */
bool listen_activated(int *socket);

#endif
