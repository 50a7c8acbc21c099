/*
 * The master process: reads the configuration, opens the listening sockets, and keeps a worker and
 * an immured running. It takes no input from the network and never reads a key.
 *
 * HUP: reload. USR2: upgrade, see upgrade.h. TERM, INT, QUIT: drain and end; a second one ends at
 * once.
 */
#ifndef PROXY_MASTER_MASTER_H
#define PROXY_MASTER_MASTER_H

#include <stdbool.h>

/* Returns the exit status: 0 after TERM, 1 if it could not start. With `test` it starts a worker to
 * try the configuration out, but does not listen. `link` leads to the master that this one takes
 * over from; -1: there is none. */
int master_run(const char *file, bool test, int link);

#endif
