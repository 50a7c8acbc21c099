/* Starts the processes of a generation, and connects them. */
#ifndef PROXY_MASTER_PROCESSES_H
#define PROXY_MASTER_PROCESSES_H

#include <errno.h>

#include "proxy/master/core.h"

/* Whether the generation has its own immured. */
bool generation_needs_keyd(const struct generation *generation);
/* Opens the socket on which its immured will accept, with an abstract name that the kernel chooses.
 * False with errno. */
bool keyd_listen(struct generation *generation);
#define KEYD_STRANGER EPERM
const char *keyd_trouble_text(int trouble); /* an errno of keyd_connect() */
/* The process id, or -1 with errno. */
pid_t keyd_start(struct generation *generation);
/* A connection to its immured, or to the running one that it uses. Never waits. -1 with errno:
 * KEYD_STRANGER if the user who listens there is not the one of `peer-user`. */
int keyd_connect(const struct generation *generation);

/* For a forked child that does not execute another program: sets up signals, log and title. */
void child_begin(const struct proxy_config *config, const char *title);
/* Forks a child that helps the master: it reads or asks for what the master would have to wait for,
 * and talks to it through a socket pair, of which it has nothing else open. `run` gets its end;
 * ours becomes *watch, after what that had has been closed. False with errno, and *watch is closed.
 */
bool helper_start(struct generation *generation, struct child *child, struct watch *watch,
                  int (*run)(const struct generation *generation, const void *arg, int socket),
                  const void *arg);
/* Forks a worker, and opens generation->controls, which must be closed. The process id, or -1 with
 * errno. */
pid_t worker_start(struct generation *generation);

#endif
