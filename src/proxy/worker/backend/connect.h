/*
 * A connection to a server of a pool: chooses the server, tries its addresses in their order until
 * one answers, and is then the socket that a relay reads and writes.
 *
 * An address behind which there are others is given a second at most; the last one has the pool's
 * connect timeout.
 */
#ifndef PROXY_WORKER_BACKEND_CONNECT_H
#define PROXY_WORKER_BACKEND_CONNECT_H

#include "proxy/worker/backend/pool.h"

struct server_connection {
    struct pool *pool;
    const struct server *server;
    struct watch watch; /* an event while it is being made: call connect_step() */
    struct timer timer;
    uint64_t deadline; /* ns */
    unsigned tried;    /* so many of the server's addresses, the one under way included */
    bool tcp;
    /* It is made, or (`cause`, an errno) cannot be, which has been counted and logged. */
    void (*done)(struct server_connection *connection, int cause);
};

/* Both functions are the owner's. */
void connect_init(struct server_connection *connection,
                  void (*ready)(struct watch *watch, uint32_t events),
                  void (*done)(struct server_connection *connection, int cause));
/* Mostly done() is called before this returns. */
void connect_begin(struct server_connection *connection, struct pool *pool);
/* Looks what has become of the attempt that is under way. */
void connect_step(struct server_connection *connection);
/* Nothing was sent yet, and the server may be the one to begin: it is to know that the connection
 * is there. Until then that waits for the first bytes. */
void connect_acknowledge(const struct server_connection *connection);
/* Makes the next close a reset: what is still on its way to the server, and that there is more to
 * come, would look whole. */
void connect_reset_at_close(const struct server_connection *connection);
/* At any time; `pool` may be NULL, if it was never begun. */
void connect_close(struct server_connection *connection, struct loop *loop);

#endif
