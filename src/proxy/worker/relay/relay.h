/*
 * What an established connection does: connect to the backend, then carry bytes both ways.
 *
 * Back-pressure: at most RELAY_PENDING_MAX bytes a direction are held; until they have gone nothing
 * is read from the source. Half-close: the end of one direction (close_notify, FIN) is passed on,
 * and the other goes on, for half-close-timeout at most. A client's FIN without close_notify is
 * passed on, too, and noted; a failure is told as one, see connection_end().
 */
#ifndef PROXY_WORKER_RELAY_RELAY_H
#define PROXY_WORKER_RELAY_RELAY_H

#include "proxy/worker/core/connection.h"

/* One read of the scratch buffer and a PROXY header before it. */
#define RELAY_PENDING_MAX (65536 + PROXY_HEADER_MADE_MAX)

/* The handshake is done: on to the backend. */
void relay_connect(struct connection *connection);
/* The backend's socket has become writable, or failed. */
void relay_connected(struct connection *connection);
/* Carries what a step may; a source is read only if an event has come of it, or there is more of
 * what has been read. */
void relay_serve(struct connection *connection);

#endif
