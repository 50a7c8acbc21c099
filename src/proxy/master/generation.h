/*
 * A generation: a configuration and the processes that serve it, which are a worker and, unless it
 * uses a running one, an immured. A reload makes a new generation beside the old one.
 *
 *     STARTING --worker is ready--> RUNNING --drain--> DRAINING --processes have ended--> ENDED
 *         \--configuration refused, process ended, or START_LIMIT--> FAILED --discard--> DRAINING
 *
 * While it is RUNNING, a process that dies is started again. The master keeps the socket on which
 * immured listens, so that connections that are made in between wait for the next immured.
 */
#ifndef PROXY_MASTER_GENERATION_H
#define PROXY_MASTER_GENERATION_H

#include "proxy/master/core.h"

/* Takes the configuration over, and starts; `before` is the generation in force, or NULL. NULL with
 * *error filled; the configuration is freed then, too. */
struct generation *generation_new(struct proxy_config *config, const struct generation_setup *setup,
                                  const struct generation *before, struct conf_error *error);
/* It must have ended. */
void generation_free(struct generation *generation);

/* It accepts no more connections, and ends those that are open by `deadline`; UINT64_MAX: they end
 * by themselves. Sockets that no other generation has are closed. A second call changes the
 * deadline. */
void generation_drain(struct generation *generation, uint64_t deadline);
/* Whether it drains, and its connections may still go on. */
bool generation_has_time(const struct generation *generation, uint64_t now);
/* It ends at once: it has not come up, or its time is over. */
void generation_discard(struct generation *generation);

/* Whether the process was one of its own. */
bool generation_process_ended(struct generation *generation, pid_t pid, int status);
/* When its time to start or to drain is over; UINT64_MAX: it has as much as it needs. */
uint64_t generation_deadline(const struct generation *generation);

#endif
