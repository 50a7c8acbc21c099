/*
 * What an established connection does once it has a server: carries bytes both ways.
 *
 * Back-pressure: at most RELAY_PENDING_MAX bytes a direction are held; until they have gone nothing
 * is read from the source. Half-close: the end of one direction (close_notify, FIN) is passed on,
 * and the other goes on. A client's FIN without close_notify is passed on, too, and noted; a
 * failure is told as one, see relay_end().
 *
 * A relay owns neither of its two ends, and starts no timers: that is the connection's.
 */
#ifndef PROXY_WORKER_RELAY_RELAY_H
#define PROXY_WORKER_RELAY_RELAY_H

#include <openssl/ssl.h>

#include "base/buffer.h"
#include "loop/loop.h"
#include "proxy/shared/metrics.h"
#include "proxy/worker/backend/connect.h"
#include "proxy/worker/transport/client_bio.h"
#include "proxy/worker/transport/proxy_protocol.h"

/* Relayed bytes on their way are in a buffer of this size that all relays of a thread share; idle
 * connections hold none. */
#define RELAY_SCRATCH 65536
/* One read of that buffer and a PROXY header before it. */
#define RELAY_PENDING_MAX (RELAY_SCRATCH + PROXY_HEADER_MADE_MAX)

/* What all relays of a thread use. */
struct relays {
    struct loop *loop;
    struct thread_metrics *metrics;
    uint8_t scratch[RELAY_SCRATCH];
};

/* One direction. */
struct flow {
    /* Taken from the source, not yet by the destination; mostly empty. Before there is a server the
     * flow to it holds what of a PROXY header has come, then the TLVs that go on. */
    struct buffer pending;
    bool begun;     /* the destination has got a byte */
    bool ended;     /* the source has sent its last byte */
    bool passed_on; /* and the destination has been told */
    bool refused;   /* the destination takes no more: what comes is dropped */
    bool unclean;   /* it ended without close_notify: bytes may be missing */
    bool failed;    /* the source was reset: its end is none */
};

struct relay {
    struct relays *relays;
    SSL *ssl;
    struct client_bio *client_bio;
    struct server_connection *server;
    struct flow up, down;                    /* client to server, server to client */
    bool read_wants_write, write_wants_read; /* of libssl: a key update in the way */
    bool client_event, server_event;         /* something has come since the last step */
    bool more_up;                            /* the last step has left something of it */
    unsigned idle_records; /* more records without data than with data: see relay.c */
    enum connection_end end;
};

enum relay_progress {
    RELAY_WAITS, /* for an event of either end */
    RELAY_MORE,  /* no event tells of what is left: it is to be served again */
    RELAY_OVER   /* relay->end says how: relay_end() is to be called */
};

/* Before anything else: `up` may be used. */
void relay_init(struct relay *relay, struct relays *relays);
/* The handshake is done. From now on nothing is wanted of the client until relay_serve(). The ends
 * outlive the relay; there is no server connected yet. */
void relay_begin(struct relay *relay, SSL *ssl, struct client_bio *client_bio,
                 struct server_connection *server);
/* What has come of an end is to be read. */
void relay_note_client(struct relay *relay, uint32_t events);
void relay_note_server(struct relay *relay, uint32_t events);
/* Carries what a step may; a source is read only if an event has come of it, or there is more of
 * what has been read. */
enum relay_progress relay_serve(struct relay *relay);
/* One direction has ended, and the other goes on. */
bool relay_half_closed(const struct relay *relay);
/* Says how it ends, to the client and the server, before both are closed. The end of a direction
 * that is complete is told as one: close_notify, then FIN. What is cut off looks so: the client
 * gets no close_notify, the server a reset. */
void relay_end(struct relay *relay, enum connection_end end);
void relay_release(struct relay *relay);

#endif
