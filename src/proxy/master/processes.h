/* How a generation's processes are made, and how one of them reaches the other. */
#ifndef PROXY_MASTER_PROCESSES_H
#define PROXY_MASTER_PROCESSES_H

#include <errno.h>

#include "proxy/master/generation.h"

/* Whether it has an immured of its own. */
bool generation_needs_keyd(const struct generation *generation);
/* Opens the socket on which its immured will accept, under an abstract name that the kernel
 * chooses. False with errno. */
bool keyd_listen(struct generation *generation);
#define KEYD_STRANGER EPERM
/* The process id, or -1 with errno. */
pid_t keyd_start(struct generation *generation);
/* A connection to its immured (or to the running one that it uses); -1 with errno: KEYD_STRANGER if
 * another user listens there than peer-user says. Never waits. */
int keyd_connect(const struct generation *generation);

/* In a child that is not to become another program: its signals, its log and its title. */
void child_begin(const struct config *config, const char *title);
/* Forks; opens generation->controls, which are closed before. The process id, or -1 with errno. */
pid_t worker_start(struct generation *generation);

#endif
