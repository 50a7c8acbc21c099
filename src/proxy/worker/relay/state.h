/* What a relay consists of, for what carries its bytes and for the client's end of it. */
#ifndef PROXY_WORKER_RELAY_STATE_H
#define PROXY_WORKER_RELAY_STATE_H

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
    bool begun;     /* to the server: it has got a byte; to the client: the server has sent one */
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

#endif
