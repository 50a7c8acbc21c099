/*
 * One client connection: from accept to the end of both directions.
 *
 *     PROXY_HEADER -> HANDSHAKE -> CONNECT -> RELAY -> CLOSED
 *
 * Up to HANDSHAKE all work is done in steps, in the loop's budget; from CONNECT on the connection
 * is established and served as its events come. The connection owns its parts and passes on what
 * happens from one to the next; none of them knows of it. connection_close() frees everything in
 * any state, a pending derivation or signature and its fiber included.
 */
#ifndef PROXY_WORKER_CORE_CONNECTION_H
#define PROXY_WORKER_CORE_CONNECTION_H

#include "proxy/worker/backend/connect.h"
#include "proxy/worker/core/accept_proxy.h"
#include "proxy/worker/core/handshake.h"
#include "proxy/worker/core/places.h"
#include "proxy/worker/relay/relay.h"
#include "proxy/worker/route/route.h"

enum connection_state {
    CONNECTION_PROXY_HEADER, /* what a load balancer before us says comes first */
    CONNECTION_HANDSHAKE,
    CONNECTION_CONNECT, /* to a server */
    CONNECTION_RELAY,
    CONNECTION_CLOSED
};

/* All connections of a thread, and what they share. */
struct connections {
    struct turn *turn;
    struct loop *loop; /* the turn's */
    struct thread_metrics *metrics;
    struct places *places;
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
    const struct route *route;
    enum connection_state state;
    bool gone; /* the client, before its handshake was over: nothing more is done for it */
    struct transport client;
    struct client_bio bio;
    struct step step;
    struct timer timer; /* of its state, but for CONNECT */
    struct work freed;  /* at the end of the turn in which it is closed: its events may name it */
    struct proxy_addresses addresses;
    struct handshake handshake;
    struct server_connection server;
    struct relay relay;
    unsigned served; /* steps of the relay, up to those that make it one that stays */
};

/* The caller has set the first group, and the clients and the derivations of handshakes.waits. */
void connections_init(struct connections *connections, const BIO_METHOD *client_bio);
/* When all have been closed. */
void connections_release(struct connections *connections);
/* Closes up to `most` open ones: the drain time is over. Whether there are others. */
bool connections_cut(struct connections *connections, size_t most);

/* Takes over the descriptor and the place that was taken for it; gives both back if there is no
 * memory. */
void connection_open(struct connections *connections, const struct route *route,
                     const struct transport_kind *transport, int descriptor,
                     const struct sockaddr_storage *peer);

#endif
