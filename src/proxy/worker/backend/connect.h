/*
 * A connection to a server of a pool. It tries the server's addresses in order until one answers,
 * and is then a socket that can be read and written. Its owner (search.h) chooses the server and
 * counts what comes of it.
 *
 * The last address has the whole time limit; each one before it has a second at most.
 */
#ifndef PROXY_WORKER_BACKEND_CONNECT_H
#define PROXY_WORKER_BACKEND_CONNECT_H

#include "base/clock.h"
#include "proxy/worker/backend/pool.h"

struct server_connection {
    struct loop *loop;
    const struct server *server;
    uint64_t limit;     /* ns: for the last address */
    struct watch watch; /* on an event before done(): call connect_step() */
    struct timer timer;
    uint64_t deadline; /* ns */
    unsigned tried;    /* how many of the server's addresses, including the one in progress */
    bool tcp;
    /* The connection is made, or it failed with `cause`, an errno. */
    void (*done)(struct server_connection *connection, int cause);
};

void connect_init(struct server_connection *connection,
                  void (*ready)(struct watch *watch, uint32_t events),
                  void (*done)(struct server_connection *connection, int cause));
/* How long an attempt may take when another one can follow. ns */
#define CONNECT_NEXT NS_PER_S
/* done() is usually called before this returns. */
void connect_begin(struct server_connection *connection, struct loop *loop,
                   const struct server *server, uint64_t limit);
/* Checks the attempt that is in progress. */
void connect_step(struct server_connection *connection);
/* Completes TCP's handshake, of which the last segment is held back until the first bytes are sent.
 * To be called when there are none to send, because the server may be the one to speak first. */
void connect_acknowledge(const struct server_connection *connection);
/* Makes the next close a reset. An ordinary close would make a stream that is cut off look
 * complete to the server. */
void connect_reset_at_close(const struct server_connection *connection);
/* Allowed at any time, also before connect_begin(). */
void connect_close(struct server_connection *connection, struct loop *loop);

#endif
