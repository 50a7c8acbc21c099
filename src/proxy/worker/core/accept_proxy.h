/* The PROXY header with which a load balancer in front of us begins a connection. */
#ifndef PROXY_WORKER_CORE_ACCEPT_PROXY_H
#define PROXY_WORKER_CORE_ACCEPT_PROXY_H

#include "base/buffer.h"
#include "proxy/worker/route/route.h"
#include "proxy/worker/transport/proxy_protocol.h"
#include "proxy/worker/transport/transport.h"

enum accept_proxy_result {
    ACCEPT_PROXY_DONE,
    ACCEPT_PROXY_MORE, /* the header is not complete yet */
    ACCEPT_PROXY_GONE, /* the connection ended or failed before the header was complete */
    ACCEPT_PROXY_BAD   /* not a header that is accepted, or out of memory */
};

/* What all connections of a thread share. */
struct accept_proxy {
    uint8_t *scratch; /* PROXY_HEADER_MAX bytes */
    uint64_t logged;  /* ns: when a warning about a header was last logged */
};

/*
 * Reads what has arrived. `kept` is empty at first, and the caller leaves it alone until the header
 * is complete. Then *addresses are those of the header, and `kept` holds those of its TLVs that are
 * passed on to a server.
 */
enum accept_proxy_result accept_proxy_read(struct accept_proxy *shared, struct transport *client,
                                           const struct route *route, struct buffer *kept,
                                           struct proxy_addresses *addresses, uint64_t now);
/* Warns that a client of a route that accepts no header has sent one of this version. */
void accept_proxy_unwanted(struct accept_proxy *shared, const struct route *route,
                           const struct proxy_addresses *addresses, enum proxy_protocol version,
                           uint64_t now);

#endif
