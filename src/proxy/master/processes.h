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
/* The process id, or -1 with errno. */
pid_t keyd_start(struct generation *generation);
/* A connection to its immured, or to the running one that it uses. Never waits. -1 with errno:
 * KEYD_STRANGER if the user who listens there is not the one of `peer-user`. */
int keyd_connect(const struct generation *generation);

/* For a forked child that does not execute another program: sets up signals, log and title. */
void child_begin(const struct proxy_config *config, const char *title);
/* Forks a worker, and opens generation->controls, which must be closed. The process id, or -1 with
 * errno. */
pid_t worker_start(struct generation *generation);

#endif
