/* The listening sockets of a thread. Accepting one connection is one step. */
#ifndef PROXY_WORKER_CORE_LISTENER_H
#define PROXY_WORKER_CORE_LISTENER_H

#include "proxy/worker/core/connection.h"

struct listener {
    struct listeners *listeners;
    const struct route *route; /* of the connections that are accepted here */
    const struct transport_kind *transport;
    struct watch watch;
    struct step step;
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

/* `descriptors` has one entry for each address of each frontend, in the order of
 * the configuration; `routes` has all routes by number. False: out of memory. */
bool listeners_open(struct listeners *listeners, const struct proxy_config *config,
                    const int *descriptors, const struct route *routes);
/* Stops accepting because the thread drains. */
void listeners_stop(struct listeners *listeners);
void listeners_free(struct listeners *listeners);

#endif
