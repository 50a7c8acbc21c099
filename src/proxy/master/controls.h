/*
 * Our ends of the worker's controls: what the master owes to each thread, and to the main thread,
 * and sends when the socket has room (shared/control.h).
 */
#ifndef PROXY_MASTER_CONTROLS_H
#define PROXY_MASTER_CONTROLS_H

#include "proxy/master/core.h"

/* Makes one for each thread of the worker and one for its main thread, which are closed. False: out
 * of memory. */
bool controls_init(struct generation *generation,
                   void (*ready)(struct watch *watch, uint32_t events));
/* Closes all. Harmless if there are none. */
void controls_close(struct generation *generation);

/* Sends what is owed, in its present state, as far as the socket has room. */
void control_pay(struct control_end *control);

void controls_send_drain(struct generation *generation);
void controls_send_tickets(struct generation *generation);
/* Tells all threads what the configuration says about a server now. */
void controls_send_server(struct generation *generation, uint32_t server, enum owed_kind kind);

#endif
