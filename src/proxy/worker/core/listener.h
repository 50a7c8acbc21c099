/* The listening sockets of a thread. Accepting one connection is one step. */
#ifndef PROXY_WORKER_CORE_LISTENER_H
#define PROXY_WORKER_CORE_LISTENER_H

#include "proxy/worker/core/connection.h"

struct listener {
    struct listeners *listeners;
    const struct route *route;              /* of the connections that are accepted here */
    const struct transport_kind *transport; /* of their clients */
    struct watch watch;
    struct step step;
    uint64_t backlog_since; /* ns: the backlog has not been empty since; 0: it is */
    struct standing backlog;
    struct timer rest;
};

/* The owner sets the first group. */
struct listeners {
    struct turn *turn;
    struct places *places;
    struct connections *connections; /* what accepted connections are added to */
    unsigned thread;                 /* its number, for the log */

    struct listener *of;
    size_t count;
    bool stopped; /* for good */
    uint64_t wait_logged;
};

/* A listening socket, and how the clients are served that are accepted there. */
struct listener_row {
    int descriptor;
    const struct route *route;
    const struct transport_kind *transport;
};

/* Takes over the descriptors. False: out of memory. */
bool listeners_open(struct listeners *listeners, const struct listener_row *rows, size_t count);
/* Stops accepting because the thread drains. */
void listeners_stop(struct listeners *listeners);
void listeners_free(struct listeners *listeners);

#endif
