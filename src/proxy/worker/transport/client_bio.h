/*
 * libssl's way to a client, in both directions.
 *
 * To libssl: a record at a time and so many of them a step, whatever has come: libssl may use all
 * that it can get within one call (20,000 records without data, for instance), so it must not get
 * more than its caller can wait for. What the socket had beyond what libssl asked for is kept here;
 * no event of the socket tells of it.
 *
 * From libssl: what is not urgent waits in the kernel for what follows it, to go with it in one
 * segment. A ticket waits for the response to the request that came with the client's Finished,
 * close_notify for the FIN, a record of a bulk transfer for those that are written after it. They
 * wait as send(2) says of MSG_MORE: any segment from the client sends them too, and so do 200 ms.
 */
#ifndef PROXY_WORKER_TRANSPORT_CLIENT_BIO_H
#define PROXY_WORKER_TRANSPORT_CLIENT_BIO_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "proxy/config/config.h"
#include "proxy/worker/transport/announced.h"
#include "proxy/worker/transport/transport.h"

/* Of one connection in one step: four full records, so that a bulk transfer does not keep the
 * others waiting, or so many small ones. */
#define CLIENT_BYTES_A_STEP (4 * (SSL3_RT_MAX_PLAIN_LENGTH + 256 + SSL3_RT_HEADER_LENGTH))
#define CLIENT_RECORDS_A_STEP 32
/* Read at once beyond what libssl asks for. */
#define CLIENT_AHEAD 4096

/* Of one connection: what has come from its client and gone to libssl. */
struct client_bio {
    SSL *ssl; /* NULL before client_bio_use() */
    struct transport *transport;
    struct buffer *spare;             /* room for `ahead`, of all connections of the thread */
    struct buffer ahead;              /* taken from the socket, not yet by libssl */
    struct announced announced;       /* until flight_sent */
    size_t bytes_left;                /* of this step */
    unsigned records;                 /* of this step: libssl has begun to read them */
    unsigned long records_total;      /* of the connection */
    enum proxy_protocol proxy_header; /* what it begins with, in place of TLS; mostly none */
    bool dry;           /* the socket had no more when it was last read, and no event since */
    bool stopped;       /* libssl has got all that it gets in this step */
    bool hung_up;       /* the socket has a FIN, before it or behind what it has */
    bool ended;         /* the FIN was read */
    bool too_long;      /* a message was announced that libssl is not to hear of */
    bool flight_sent;   /* the handshake goes on when the client has answered */
    bool more_to_write; /* another record follows the one that is written: they go together */
};

/* To be freed with BIO_meth_free(), after its BIOs. NULL: out of memory. */
BIO_METHOD *client_bio_method(void);

/* The transport and the spare room, which is initialized with CLIENT_AHEAD, outlive it. */
void client_bio_init(struct client_bio *client, struct transport *transport, struct buffer *spare);
/* Becomes both ways of the SSL, which is freed before it. False: out of memory. */
bool client_bio_use(struct client_bio *client, SSL *ssl, const BIO_METHOD *method);

/* Around the calls to libssl of one step. After the second: whether more has come than a step may
 * use, of which no event tells. */
void client_bio_enter(struct client_bio *client);
bool client_bio_leave(struct client_bio *client);
void client_bio_release(struct client_bio *client);

#endif
