/* The unix socket that clients connect to. */
#ifndef KEYD_PROCESS_LISTEN_H
#define KEYD_PROCESS_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Binds and listens. Users who have write permission by `mode` may connect. A file that an immured
 * has left behind is replaced. One that is still served is replaced only if its server ends within
 * a second, as a key process does whose supervisor was killed. -1: reason logged.
 */
int listen_unix(const char *path, mode_t mode);

/*
 * Takes the listening socket that a service manager passes to this process (sd_listen_fds(3)), and
 * makes it close on exec; *socket is -1 if there is none. The variables that announce it are
 * removed from the environment. False: something else was passed; reason logged.
 */
bool listen_activated(int *socket);

#endif
