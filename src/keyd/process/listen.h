/* The unix socket that clients connect to by its path. */
#ifndef KEYD_PROCESS_LISTEN_H
#define KEYD_PROCESS_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Binds and listens; whoever has write permission by `mode` may connect. A file that an immured has
 * left behind is replaced. One that is still served is replaced only if that ends within a second,
 * as it does when a supervisor was killed and its key process follows. -1: the reason was logged.
 */
int listen_unix(const char *path, mode_t mode);

/*
 * The listening socket that a service manager passes to this process (sd_listen_fds(3)), close on
 * exec; *socket is -1 if there is none. The variables that say so leave the environment. False:
 * what was passed is something else, and that was logged.
 */
bool listen_activated(int *socket);

#endif
