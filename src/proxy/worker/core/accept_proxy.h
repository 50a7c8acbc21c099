/* The PROXY header with which a load balancer in front of us begins a connection. */
#ifndef PROXY_WORKER_CORE_ACCEPT_PROXY_H
#define PROXY_WORKER_CORE_ACCEPT_PROXY_H

#include "base/buffer.h"
#include "proxy/worker/route/route.h"
#include "proxy/worker/transport/proxy_protocol.h"
#include "proxy/worker/transport/transport.h"

enum accept_proxy_result {
    ACCEPT_PROXY_DONE,
    ACCEPT_PROXY_MORE, /* it is not all there */
    ACCEPT_PROXY_GONE, /* there was an end, or an error, before it was */
    ACCEPT_PROXY_BAD   /* it is none that is accepted, or there is no memory */
};

/* Of one thread. */
struct accept_proxy {
    uint8_t *scratch; /* PROXY_HEADER_MAX bytes */
    uint64_t logged;  /* ns: when a header was last complained of */
};

/*
 * Takes what has come. `kept` is empty at first, and belongs to this until the header is there.
 * Then *addresses are the header's, and `kept` has those of its TLVs that go on to a server.
 */
enum accept_proxy_result accept_proxy_read(struct accept_proxy *shared,
                                           const struct transport *client,
                                           const struct route *route, struct buffer *kept,
                                           struct proxy_addresses *addresses, uint64_t now);
/* A client of a route that accepts no header has sent one, of this version. */
void accept_proxy_unwanted(struct accept_proxy *shared, const struct route *route,
                           const struct proxy_addresses *addresses, enum proxy_protocol version,
                           uint64_t now);

#endif
