/*
 * The BIO by which libssl reads from a client and writes to it.
 *
 * Reading: libssl gets one record at a time and a limited number of them in a step, whatever has
 * arrived. It may process all that it can get within one call (20,000 records without data, for
 * instance), so it must not get more than the other connections can wait for. Bytes that were read
 * from the socket beyond what libssl asked for are kept here; no event announces them.
 *
 * Writing: what is not urgent waits in the kernel for what follows it, so that both go out in one
 * segment. A ticket waits for the response to the request that came with the client's Finished,
 * close_notify for the FIN, a record of a bulk transfer for the records after it. They are sent
 * with MSG_MORE (send(2)), so they go out at the latest after 200 ms or with the next segment from
 * the client.
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

/* The limits for one connection in one step, so that a bulk transfer does not keep the others
 * waiting: the bytes of four full records, or this number of small ones. */
#define CLIENT_BYTES_A_STEP (4 * (SSL3_RT_MAX_PLAIN_LENGTH + 256 + SSL3_RT_HEADER_LENGTH))
#define CLIENT_RECORDS_A_STEP 32
/* How many bytes are read beyond what libssl asks for. */
#define CLIENT_AHEAD 4096

/* How many certificates a client may send. libssl parses all of them within one call, and decodes
 * their keys. */
#define CLIENT_CERTIFICATES_MAX 10

/* One for each connection. */
struct client_bio {
    SSL *ssl; /* NULL before client_bio_use() */
    struct transport *transport;
    struct buffer *spare;             /* memory for `ahead`, shared by the thread's connections */
    struct buffer ahead;              /* read from the socket, not yet given to libssl */
    struct announced announced;       /* until flight_sent */
    struct buffer kept;               /* all that was read so far, if keeps_all */
    size_t bytes_left;                /* that this step may still read */
    unsigned records;                 /* that libssl has begun to read in this step */
    unsigned long records_total;      /* that libssl has begun to read so far */
    enum proxy_protocol proxy_header; /* the client sent one in place of TLS; mostly NONE */
    bool dry;           /* the last read emptied the socket, and no event has come since */
    bool stopped;       /* libssl gets no more bytes in this step */
    bool hung_up;       /* a FIN has arrived; bytes before it may be unread */
    bool ended;         /* the FIN was read */
    bool too_long;      /* a message was announced that is too long for libssl to see */
    bool too_many;      /* a Certificate message had more certificates than libssl shall parse */
    bool keeps_all;     /* until it is known whether libssl is to have the stream at all */
    bool flight_sent;   /* the server's flight: the client has to answer now */
    bool more_to_write; /* another record follows the one that is written: send them together */
};

/* To be freed with BIO_meth_free(), after its BIOs. NULL: out of memory. */
BIO_METHOD *client_bio_method(void);

/* The transport and the spare buffer, which is initialized with CLIENT_AHEAD, outlive *client. */
void client_bio_init(struct client_bio *client, struct transport *transport, struct buffer *spare);
/* Makes the SSL read and write through *client, which outlives it. False: out of memory. */
bool client_bio_use(struct client_bio *client, SSL *ssl, const BIO_METHOD *method);

/* To be called before and after the calls of libssl in one step. The second returns whether bytes
 * are left over for another step, because no event will announce them. */
void client_bio_enter(struct client_bio *client);
bool client_bio_leave(struct client_bio *client);
void client_bio_release(struct client_bio *client);

/* Keeps all bytes that libssl gets, at most CLIENT_KEPT_MAX: no ClientHello needs more. */
#define CLIENT_KEPT_MAX (2 * ANNOUNCED_MAX)
void client_bio_keep(struct client_bio *client);
void client_bio_forget(struct client_bio *client);
/* For a stream that is not given to libssl: reads within the limits of a step. Returns how many
 * bytes there are, 0 at the end, or -1 with errno. EAGAIN: this step gets no more. */
ssize_t client_bio_read(struct client_bio *client, void *bytes, size_t size);

#endif
