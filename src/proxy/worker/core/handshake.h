/* The steps of a connection before it is established. Each does one thing and returns to the loop.
 */
#ifndef PROXY_WORKER_CORE_HANDSHAKE_H
#define PROXY_WORKER_CORE_HANDSHAKE_H

#include "proxy/worker/core/connection.h"

/* Looks whether the PROXY header is all there. */
void handshake_read_proxy_header(struct connection *connection);
/* As far as libssl gets with what there is: to the next message, to a signature, to the end. */
void handshake_step(struct connection *connection);
/* The client has gone; all that it has said may be an alert. */
void handshake_give_up(struct connection *connection);
/* A fiber has become free: a connection that waits for one goes on. */
void handshake_feed_starved(struct thread *thread);

/* VERSION_NONE before anything was negotiated; ssl may be NULL. */
enum handshake_version handshake_version_of(const SSL *ssl);

#endif
