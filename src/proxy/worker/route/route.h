/*
 * How a connection is served: as whom the proxy presents itself to the client, and which servers
 * are behind it.
 *
 * At present each frontend has one route, and a connection has that of the frontend that accepted
 * it.
 */
#ifndef PROXY_WORKER_ROUTE_ROUTE_H
#define PROXY_WORKER_ROUTE_ROUTE_H

#include "proxy/config/config.h"
#include "proxy/worker/backend/pool.h"
#include "proxy/worker/route/tls.h"

struct route {
    const char *name; /* for the log: the frontend's */
    enum proxy_protocol accept_proxy;
    const struct tls_frontend *tls; /* sets of certificates, TLS policy, scope of sessions */
    struct pool *pool;
};

/* Returns one route for each frontend, in the order of the configuration; the caller frees the
 * array. The TLS side and the pools outlive it. NULL: out of memory. */
struct route *routes_make(const struct tls *tls, const struct pools *pools);

#endif
