/*
 * The search of a connection for a server that takes it: it is tried on one server after the other,
 * and waits in the queue of the pool while all are full. The search may begin again as long as not
 * one byte has gone to the server, and none has come from it (search_again()); after that it may
 * not, because the bytes of a client never go to two servers.
 *
 * The queue has a bound over all threads, but each thread has its own part of it. Whoever gives a
 * place back wakes the thread in which a connection has waited for longest
 * (proxy/shared/servers.h).
 */
#ifndef PROXY_WORKER_BACKEND_SEARCH_H
#define PROXY_WORKER_BACKEND_SEARCH_H

#include "proxy/worker/backend/connect.h"

struct search {
    struct server_connection server; /* on an event of its watch before done(): search_step() */
    struct pool *pool;               /* NULL: it has not begun */
    struct candidate candidate;
    struct list node;      /* in pool->queue */
    uint64_t waits_since;  /* ns */
    uint64_t deadline;     /* ns: no other server is tried after that */
    uint64_t connected_at; /* ns */
    int cause;             /* an errno: why the last server could not be connected to */
    struct timer timer;    /* of the queue, or to go on in the next turn */
    /* The server is connected, or none could be, with an errno. */
    void (*done)(struct search *search, int cause);
};

/* What all searches of a thread need. False with errno; searches_close() has to be called all the
 * same, before pools_close(). */
bool searches_open(struct pools *pools);
void searches_close(struct pools *pools);

void search_init(struct search *search, void (*ready)(struct watch *watch, uint32_t events),
                 void (*done)(struct search *search, int cause));
/* `source`: a hash of the client's address. done() is usually called before this returns. */
void search_begin(struct search *search, struct pool *pool, uint64_t source);
/* Checks the attempt that is in progress. */
void search_step(struct search *search);
/* The server was connected, and then reset the connection, before a byte went in any direction.
 * Returns whether the search goes on, which then ends with done() as before. */
bool search_again(struct search *search, int cause);
/* Closes the connection to the server, and counts it out. Allowed at any time. */
void search_end(struct search *search, struct loop *loop);

#endif
