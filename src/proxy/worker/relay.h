/*
 * What an established connection does: connect to the backend, then carry bytes both ways.
 *
 * Back-pressure: at most RELAY_PENDING_MAX bytes a direction are held; until they have gone nothing
 * is read from the source. Half-close: the end of one direction (close_notify, FIN) is passed on,
 * and the other goes on, for half-close-timeout at most.
 */
#ifndef PROXY_WORKER_RELAY_H
#define PROXY_WORKER_RELAY_H

#include "proxy/worker/connection.h"

/* One read of the scratch buffer and a PROXY header before it. */
#define RELAY_PENDING_MAX (65536 + PROXY_HEADER_MAX)

/* The handshake is done: on to the backend. */
void relay_connect(struct connection *connection);
/* The backend's socket has become writable, or failed. */
void relay_connected(struct connection *connection);
/* No connection to the backend: the client is told by close_notify. `cause` is an errno. */
void relay_backend_failed(struct connection *connection, int cause);
/* Carries what can be carried now; a source is read only if it is said to be readable. */
void relay_serve(struct connection *connection, bool client_readable, bool backend_readable);

#endif
