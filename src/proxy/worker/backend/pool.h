/*
 * A backend of the configuration at run time. Each loop thread has its own pools, and nothing in
 * them is shared.
 */
#ifndef PROXY_WORKER_BACKEND_POOL_H
#define PROXY_WORKER_BACKEND_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "proxy/config/config.h"
#include "proxy/shared/metrics.h"

/* One server behind the proxy. */
struct server {
    const char *name;                  /* as configured: an address or a host name */
    struct server_addresses addresses; /* as of now; none: its name has not been resolved yet */
    /* Connections of clients, as the functions below count them: */
    size_t connections; /* now */
    uint64_t total;
    uint64_t failed; /* of the total: those that it could not serve */
};

struct pool {
    struct pools *pools;
    const char *name;
    struct server *servers;
    size_t server_count;
    uint64_t connect_timeout;           /* ns */
    enum proxy_protocol proxy_protocol; /* NONE, V1 or V2: the header that is sent first */
    bool proxy_tlvs;                    /* with V2: pass on the TLVs of the header that came in */
    bool proxy_client_certificate;      /* with V2: send the client's whole certificate */
};

/* All pools of a thread, in the order of the configuration. */
struct pools {
    struct loop *loop;
    struct thread_metrics *metrics;
    struct pool *of;
    size_t count;
    uint64_t failure_logged; /* ns: when a failure was logged last */
};

/* The configuration, loop and metrics outlive the pools. False: out of memory; pools_close() has to
 * be called all the same. */
bool pools_open(struct pools *pools, const struct proxy_config *config, struct loop *loop,
                struct thread_metrics *metrics);
void pools_close(struct pools *pools);
/* Sets what the resolver found for the server of pool number `pool`, if there is such a pool. */
void pools_set_addresses(struct pools *pools, size_t pool,
                         const struct server_addresses *addresses);

/* Returns the server for the next connection of a client, which it counts there: the one with the
 * fewest connections, and of those the one that has been chosen least. */
struct server *pool_choose(const struct pool *pool);
/* To be called once for each choice, when the connection has ended. */
void pool_leave(struct server *server);
/* Counts a client that the server was chosen for and could not serve, and logs it, but at most once
 * a second. `cause` is an errno. */
void pool_failed(const struct pool *pool, struct server *server, int cause);

#endif
