/*
 * What an established connection does once it has a server: it carries bytes both ways.
 *
 * Back-pressure: a relay holds at most RELAY_PENDING_MAX bytes for each direction, and reads
 * nothing from the source until they have been sent. Half-close: the end of one direction
 * (close_notify, FIN) is passed on, and the other direction continues. A client's FIN without
 * close_notify is passed on, too, and noted. A failure is passed on as a failure, see relay_end().
 *
 * The connection owns the two ends and the timers; a relay only uses the ends.
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

/* The size of the buffer through which all relays of a thread carry their bytes, so that an idle
 * connection needs none. */
#define RELAY_SCRATCH 65536
/* One full buffer and the PROXY header in front of it. */
#define RELAY_PENDING_MAX (RELAY_SCRATCH + PROXY_HEADER_MADE_MAX)

/* What all relays of a thread use. */
struct relays {
    struct loop *loop;
    struct thread_metrics *metrics;
    uint8_t scratch[RELAY_SCRATCH];
};

/* One direction. */
struct flow {
    /* Read from the source and not sent yet; mostly empty. Before a server is connected, the flow
     * to it first holds the part of a PROXY header that has arrived, then the TLVs to pass on. */
    struct buffer pending;
    bool begun;     /* the destination has got a byte */
    bool ended;     /* the source has sent its last byte */
    bool passed_on; /* the destination has been told of the end */
    bool refused;   /* the destination takes no more: further bytes are dropped */
    bool unclean;   /* it ended without close_notify: bytes may be missing */
    bool failed;    /* the source was reset: an end of file is a failure, not an end */
};

struct relay {
    struct relays *relays;
    const struct client_end *client;
    SSL *ssl; /* NULL: the client's bytes are carried as they are */
    struct client_bio *client_bio;
    struct server_connection *server;
    struct flow up, down;                    /* client to server, server to client */
    bool read_wants_write, write_wants_read; /* libssl has a key update to finish first */
    bool client_event, server_event;         /* an event has arrived since the last step */
    bool more_up;                            /* the last step left bytes of the client unread */
    unsigned idle_records; /* the excess of records without data over those with data: relay.c */
    enum connection_end end;
};

enum relay_progress {
    RELAY_WAITS, /* waits for an event of either end */
    RELAY_MORE,  /* bytes are left that no event will announce: serve it again */
    RELAY_OVER   /* relay->end says how it ended: call relay_end() */
};

/* After this `up.pending` may be used. */
void relay_init(struct relay *relay, struct relays *relays);
/* To be called when the handshake is done, or with `ssl` NULL for a stream that is passed on as it
 * is. The server need not be connected yet; no events of the
 * client are watched until relay_serve(). The ends outlive the relay. */
void relay_begin(struct relay *relay, SSL *ssl, struct client_bio *client_bio,
                 struct server_connection *server);
/* Note an event of an end, so that the next relay_serve() reads from it. */
void relay_note_client(struct relay *relay, unsigned events); /* enum transport_event */
void relay_note_server(struct relay *relay, uint32_t events);
/* Carries as much as one step may. It reads a source only after an event, or when the last step
 * left some of its bytes unread. */
enum relay_progress relay_serve(struct relay *relay);
/* Whether one direction has ended while the other continues. */
bool relay_half_closed(const struct relay *relay);
/* Tells the client and the server how the connection ends, before both are closed. Complete
 * directions end with close_notify and FIN. If bytes are cut off, both can see it: the client gets
 * no close_notify, the server a reset. */
void relay_end(struct relay *relay, enum connection_end end);
void relay_release(struct relay *relay);

#endif
