/*
 * One client connection: from accept to the end of both directions.
 *
 *     PROXY_HEADER -> HANDSHAKE <-> DERIVING, SIGNING -> CONNECT -> RELAY -> CLOSED
 *
 * Up to SIGNING all work is done in steps, in the loop's budget; from CONNECT on the connection is
 * established and served as its events come. connection_close() frees everything in any state, the
 * pending derivation or signature and its fiber included.
 */
#ifndef PROXY_WORKER_CORE_CONNECTION_H
#define PROXY_WORKER_CORE_CONNECTION_H

#include <openssl/ssl.h>

#include "base/buffer.h"
#include "handshake/fast_handshake.h"
#include "immure/openssl.h"
#include "proxy/metrics.h"
#include "proxy/worker/core/turn.h"
#include "proxy/worker/route/tls.h"
#include "proxy/worker/transport/client_bio.h"
#include "proxy/worker/transport/proxy_protocol.h"

struct thread;

enum connection_state {
    CONNECTION_PROXY_HEADER, /* what a load balancer before us says comes first */
    CONNECTION_HANDSHAKE,
    CONNECTION_DERIVING, /* the fiber is paused until the end of this turn */
    CONNECTION_SIGNING,  /* the fiber is paused until immured has answered */
    CONNECTION_CONNECT,  /* to the backend */
    CONNECTION_RELAY,
    CONNECTION_CLOSED
};

/* One direction of the relay. */
struct flow {
    /* Taken from the source, not yet by the destination; mostly empty. Before there is a backend
     * the flow to it holds what of a PROXY header has come, then the TLVs that go on. */
    struct buffer pending;
    bool begun;     /* the destination has got a byte */
    bool ended;     /* the source has sent its last byte */
    bool passed_on; /* and the destination has been told */
    bool refused;   /* the destination takes no more: what comes is dropped */
    bool unclean;   /* it ended without close_notify: bytes may be missing */
    bool failed;    /* the source was reset: its end is none */
};

struct connection {
    struct list node; /* in thread->connections */
    struct list starved;
    struct thread *thread;
    const struct tls_frontend *frontend;
    enum connection_state state;
    struct watch client, backend;
    struct step step;
    struct timer timer; /* of its state */
    struct work freed;  /* at the end of the turn in which it is closed */
    SSL *ssl;           /* from the first byte of the handshake on */
    struct immure_waiter waiter;
    struct derivation_waiter derivation;
    bool has_fiber; /* paused for one of the two */
    uint64_t accepted_at;
    struct flow up, down;                    /* client to backend, backend to client */
    bool read_wants_write, write_wants_read; /* of libssl: a key update in the way */
    struct proxy_addresses addresses;
    struct client_input input;
    unsigned served;       /* steps of the relay, up to those that make it one that stays */
    unsigned idle_records; /* more records without data than with data: see relay.c */
    uint64_t connect_deadline;
    unsigned server; /* the next address of the backend's that is tried */
    bool backend_is_tcp;
    bool client_event, backend_event; /* something has come since the last step */
    bool more_up;                     /* the last step has left something of it */
    bool more_down; /* another record follows the one that is written: they go together */
    bool gone;      /* the client, before its handshake was over: nothing more is done for it */
    bool fed;       /* it has waited for a fiber, and one was kept for its next step */
    enum connection_end end;
};

/* Takes over the descriptor and the place that thread_take_place() has given; gives both back if
 * there is no memory. */
void connection_open(struct thread *thread, const struct tls_frontend *frontend, int descriptor,
                     const struct sockaddr_storage *peer);
const struct backend_config *connection_backend(const struct connection *connection);
/* Any state. The struct is freed at the end of the turn. */
void connection_close(struct connection *connection);
/* The same, for an established one: says how it ended, to those who see it and to the client and
 * the backend. The end of a direction that is complete is told as one: close_notify, then FIN. What
 * is cut off looks so: the client gets no close_notify, the backend a reset. */
void connection_end(struct connection *connection, enum connection_end end);
/* The same, for one whose handshake is not over. */
void connection_fail(struct connection *connection, enum handshake_result result);

#endif
