/*
 * The health of a generation's servers: its checker process, and what that and the worker find out,
 * which the master keeps in the configuration. So it outlives both, and a server that the next
 * configuration has too keeps its state.
 */
#ifndef PROXY_MASTER_HEALTH_H
#define PROXY_MASTER_HEALTH_H

#include "proxy/master/core.h"

/* Takes over the states of servers that the generation before has too: in a backend of the same
 * name, with the same address. */
void health_inherit(struct generation *generation, const struct generation *before);
/* Starts the checker, if servers are to be checked. False with errno. */
bool health_start(struct generation *generation);
/* Ends the checker. */
void health_stop(struct generation *generation);

/* Sends what is owed to the checker, reads its reports, and calls back for each server on which the
 * verdict has changed. */
void health_ready(struct generation *generation,
                  void (*changed)(struct generation *generation, uint32_t server));
/* Notes that the worker has paused a server for so many ns, or that it is up again (0). */
void health_note_pause(struct generation *generation, uint32_t server, uint64_t pause);
/* Tells the checker the state of a server, as it is in the configuration now. */
void health_send_server(struct generation *generation, uint32_t server);

#endif
