/*
 * One client connection: from accept to the end of both directions.
 *
 *     PROXY_HEADER -> HANDSHAKE -> CONNECT -> RELAY -> CLOSED
 *
 * Up to HANDSHAKE the work is done in steps within the loop's budget for handshakes; from CONNECT
 * on the connection is established and served when events arrive. A server that resets the
 * connection before a byte has gone in any direction leads back from RELAY to CONNECT. The
 * connection owns its parts and passes events from one to the next; the parts do not know the
 * connection. connection_close() frees everything in any state, including a pending derivation or
 * signature and its fiber.
 */
#ifndef PROXY_WORKER_CORE_CONNECTION_H
#define PROXY_WORKER_CORE_CONNECTION_H

#include <stddef.h>

#include "proxy/worker/backend/search.h"
#include "proxy/worker/core/accept_proxy.h"
#include "proxy/worker/core/handshake.h"
#include "proxy/worker/core/places.h"
#include "proxy/worker/relay/relay.h"
#include "proxy/worker/route/route.h"

enum connection_state {
    CONNECTION_PROXY_HEADER, /* a load balancer in front of us sends its header first */
    CONNECTION_HANDSHAKE,
    CONNECTION_CONNECT, /* connecting to a server, or waiting for one that has room */
    CONNECTION_RELAY,
    CONNECTION_CLOSED
};

/* All connections of a thread, and what they share. */
struct connections {
    struct turn *turn;
    struct loop *loop; /* the turn's */
    struct thread_metrics *metrics;
    struct places *places;
    struct admission *admission;
    const struct route *routes;                                   /* by number */
    uint64_t handshake_timeout, idle_timeout, half_close_timeout; /* ns */

    struct list open;
    uint64_t no_data_logged;
    struct handshakes handshakes;
    struct accept_proxy accept_proxy;
    struct buffer spare_ahead; /* see client_bio.h; idle connections hold none */
    struct relays relays;
};

struct connection {
    struct list node; /* in connections->open */
    struct connections *connections;
    const struct route *route; /* its frontend's own until the ClientHello has been answered */
    enum connection_state state;
    bool gone; /* the client left before the end of its handshake: no more work is done for it */
    struct client_bio bio;
    struct step step;
    struct held held;
    struct timer timer; /* of the present state, except CONNECT */
    struct work freed;  /* frees it at the end of the turn: events of this turn may refer to it */
    struct proxy_addresses addresses;
    struct hello hello;
    struct handshake handshake;
    struct search search; /* for a server, and then the connection to it */
    struct relay relay;
    bool prepared;   /* the relay holds what the server gets before the client's bytes */
    unsigned served; /* steps of the relay; counted up to STEPS_TO_STAY */
    /* The client's transport, which may be larger than this: its kind says how much. */
    _Alignas(max_align_t) struct transport client[];
};

/* The caller has set the first group, and `fast`, `client` and `blocking` of handshakes.waits. */
void connections_init(struct connections *connections, const BIO_METHOD *client_bio);
/* To be called when all connections have been closed. */
void connections_release(struct connections *connections);
/* Closes up to `most` connections at the end of the drain time. Returns whether others are open. */
bool connections_cut(struct connections *connections, size_t most);

/* Takes over the descriptor and the place that was taken for it; closes the one and gives back the
 * other if there is no memory. */
void connection_open(struct connections *connections, const struct route *route,
                     const struct transport_kind *transport, int descriptor,
                     const struct sockaddr_storage *peer);
/* Takes them over, too, for a client that is refused without a connection. */
void connection_refuse(struct connections *connections, const struct transport_kind *transport,
                       int descriptor, enum handshake_result why);

#endif
