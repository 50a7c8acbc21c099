/*
 * How a connection is served: as whom the proxy presents itself to the client, and which servers
 * are behind it. Until its ClientHello has been read, a connection has its frontend's own route.
 */
#ifndef PROXY_WORKER_ROUTE_ROUTE_H
#define PROXY_WORKER_ROUTE_ROUTE_H

#include "proxy/config/config.h"
#include "proxy/worker/backend/pool.h"
#include "proxy/worker/route/tls.h"

struct route {
    const struct tls_frontend *frontend;
    const char *name; /* for the log: the frontend's */
    enum proxy_protocol accept_proxy;
    bool keeps_tlvs;   /* some route of the frontend passes on the TLVs of an accepted header */
    struct pool *pool; /* NULL: nobody is served by it */
};

/* Returns all routes, by number; the caller frees the array. The TLS side and the pools outlive it.
 * NULL: out of memory. */
struct route *routes_make(const struct tls *tls, const struct pools *pools);

#endif
