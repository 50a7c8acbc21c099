/*
 * What a connection is served by: who the proxy is to the client, and which servers are behind it.
 *
 * Today there is one route for each frontend, and a connection has it from the time when it is
 * accepted.
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

/* One for each frontend, in the order of the configuration; to be freed. The TLS side and the pools
 * outlive them. NULL: out of memory. */
struct route *routes_make(const struct tls *tls, const struct pools *pools);

#endif
