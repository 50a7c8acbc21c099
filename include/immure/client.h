/*
 * libimmure: asks an immured for signatures, and never waits for it.
 *
 * The core is sans-I/O. It opens no socket, starts no thread, never blocks and never ends the
 * application. The application owns the connection (any stream socket to immured) and the event
 * loop:
 *
 *     struct immure_client *client = immure_client_new(NULL);
 *     immure_request_submit(client, &request, &id);     as often as needed in one turn of the loop
 *     ...
 *     at the end of the turn:  immure_client_output() -> send() -> immure_client_sent()
 *     bytes have arrived:      recv() -> immure_client_receive()      -> calls request.callback
 *     the connection is lost:  immure_client_reset(), then go on with a new connection
 *
 * Requests outlive connections: immure_client_reset() marks every pending request as unsent, and
 * they go out again after the HELLO of the next connection. Signing twice is harmless.
 *
 * Threads: a client belongs to one thread at a time. Different clients are independent.
 *
 * Callbacks run inside immure_client_receive(), immure_client_expire() and immure_client_free(),
 * once for each request that was accepted and not cancelled (IMMURE_LIST: once for each key, too).
 * A callback may submit and cancel requests of the same client; it must not call receive, expire,
 * reset or free.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds. It comes from the application, which usually has read the
 * clock already.
 *
 * Source: docs/protocol.md.
 */
#ifndef IMMURE_CLIENT_H
#define IMMURE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "immure/error.h"
#include "immure/scheme.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A key is identified by the SHA-256 of its DER SubjectPublicKeyInfo, which is the same in every
 * immured that has the key. */
#define IMMURE_KEY_ID_SIZE 32

/* The longest message that can be signed, in bytes. */
#define IMMURE_MESSAGE_MAX 65000

/* The longest signature there is, in bytes (ML-DSA-87). */
#define IMMURE_SIGNATURE_MAX 4627

/* The longest ciphertext that can be decrypted (RSA-8192), and the size of a premaster secret, in
 * bytes. */
#define IMMURE_CIPHERTEXT_MAX 1024
#define IMMURE_PREMASTER_SIZE 48

/*
 * What a client may hold at most; 0 means the default. A request that was sent and then cancelled
 * counts until immured has answered it or the connection is gone.
 */
struct immure_client_options {
    size_t max_requests; /* pending requests; default 4096, at most 65535 */
    size_t max_bytes;    /* bytes of pending messages and listings; default 16 MiB */
};

/* Names a pending request. An id is never used twice within a client; 0 is never one. */
typedef uint64_t immure_request_id;

/* What immured can be asked for. The numbers are those of the frames that ask (docs/protocol.md).
 */
enum immure_operation {
    IMMURE_LIST = 0x02,       /* the keys that this client may use */
    IMMURE_SIGN = 0x03,       /* a signature over a message */
    IMMURE_STATS = 0x05,      /* the figures of immured */
    IMMURE_PING = 0x06,       /* an answer, and nothing else */
    IMMURE_DECRYPT = 0x07,    /* the premaster secret of a ClientKeyExchange, see below */
    IMMURE_TICKET_KEYS = 0x08 /* the keys of session tickets, see below */
};

struct immure_reply;
typedef void immure_callback(void *arg, const struct immure_reply *reply);

/*
 * A request. The caller zeroes it, sets the fields that the operation needs, and keeps it: it is
 * copied.
 *
 * IMMURE_DECRYPT is the decryption of a ClientKeyExchange of TLS 1.2 with RSA key exchange, which
 * immured does where the configuration of the key allows it. The answer is a premaster secret in
 * any case: if the ciphertext is not valid, immured makes one up, the same one each time, and tells
 * nobody (RFC 5246, section 7.4.7.1).
 */
struct immure_request {
    enum immure_operation operation;

    /* IMMURE_SIGN and IMMURE_DECRYPT */
    uint8_t key_id[IMMURE_KEY_ID_SIZE];
    uint16_t scheme;         /* IMMURE_SIGN: enum immure_scheme */
    uint16_t client_version; /* IMMURE_DECRYPT: as in the ClientHello, 0x0303 for TLS 1.2 */
    const uint8_t *input;    /* the whole message, not a digest of it; or the ciphertext. Copied. */
    size_t input_length;     /* 1 to IMMURE_MESSAGE_MAX or IMMURE_CIPHERTEXT_MAX bytes */

    uint64_t deadline; /* absolute, ns; 0: none. immured does not begin work that is late. */
    immure_callback *callback;
    void *arg; /* of the callback */
};

/*
 * The answer. What its pointers lead to is valid during the callback, except for literals. With an
 * error, only error and error_text say anything.
 */
struct immure_reply {
    enum immure_error error;
    const char *error_text; /* what immured said about it, or immure_error_text(); never NULL */

    /* IMMURE_SIGN and IMMURE_DECRYPT */
    const uint8_t *output; /* the signature, in the form that goes into the TLS handshake; or the
                              premaster secret */
    size_t output_length;
    const char *backend; /* the signing backend in immured: "openssl" and so on; a literal */
    uint64_t queue_ns;   /* how long the request waited in immured's queue */
    uint64_t work_ns;    /* how long the batch took that it was in; both to 50 us, and both 0 for
                            IMMURE_DECRYPT, whose times immured tells nobody */

    /* IMMURE_LIST: called back once for each key, then once with NULL and how it ended. */
    const struct immure_key *key;

    /* IMMURE_STATS */
    const struct immure_stat *stats;
    size_t stat_count;

    /* IMMURE_TICKET_KEYS */
    const struct immure_ticket_keys *ticket_keys;
};

/* A private key that immured has, by its public half. */
struct immure_key {
    uint8_t id[IMMURE_KEY_ID_SIZE];
    const char *name;    /* given by the operator of immured; not unique */
    const uint8_t *spki; /* DER SubjectPublicKeyInfo; empty if immured has not decoded the key */
    size_t spki_length;
    const char *backend;        /* what signs with it one by one: "openssl"; a literal */
    const char *lanes_backend;  /* what signs many messages at once, if that is faster; else NULL */
    unsigned lanes_from, lanes; /* the number of waiting requests from which, and up to which, it
                                   does so; 0 if lanes_backend is NULL */
    const uint16_t *schemes;    /* the SignatureSchemes that the key can sign under */
    size_t scheme_count;
};

/* One figure of immured. Names and units are those of docs/protocol.md. */
struct immure_stat {
    const char *name; /* "signatures_total"; a literal; NULL: this library does not know it */
    const char *help; /* a literal; NULL without a name */
    bool counter;     /* only ever grows while immured lives; otherwise it is a gauge */
    uint64_t value;
};

/*
 * Keys of session tickets (RFC 5077, section 4; RFC 8446, section 4.6.1), which immured derives
 * from a secret that it does not give away. Each epoch has its own key, and every immured with the
 * same secret derives the same one. New tickets are made with the current key; the previous key
 * still opens the tickets that were made with it. Whoever has a key can read tickets, and through
 * them sessions: erase the keys that are replaced.
 */
#define IMMURE_TICKET_NAME_SIZE 16
#define IMMURE_TICKET_CIPHER_SIZE 32
#define IMMURE_TICKET_MAC_SIZE 32

struct immure_ticket_key {
    uint8_t name[IMMURE_TICKET_NAME_SIZE]; /* goes into the ticket in the clear */
    uint8_t cipher[IMMURE_TICKET_CIPHER_SIZE];
    uint8_t mac[IMMURE_TICKET_MAC_SIZE];
};

struct immure_ticket_keys {
    const struct immure_ticket_key *current, *previous;
    uint64_t epoch;        /* the number of the current epoch */
    uint64_t epoch_ns;     /* how long an epoch lasts */
    uint64_t time_left_ns; /* until the next epoch; ask again then */
};

struct immure_client;

/* options may be NULL. NULL: out of memory. */
struct immure_client *immure_client_new(const struct immure_client_options *options);
/* Every pending request ends with IMMURE_E_CLOSED. NULL is allowed. */
void immure_client_free(struct immure_client *client);

/*
 * IMMURE_OK: the request is pending, *id (id may be NULL) names it, and its callback will be
 * called, unless it is cancelled. Any other error: the callback will not be called. IMMURE_E_FULL:
 * the client holds as much as it may. IMMURE_E_ARGUMENT: there is no such operation, no callback,
 * or a length is out of range. IMMURE_E_UNSUPPORTED: the immured that the client is connected to
 * speaks an older version of the protocol, without this operation. IMMURE_E_MEMORY.
 * IMMURE_E_CLOSED: in a callback of immure_client_free().
 *
 * Nothing is sent before immure_client_output().
 */
enum immure_error immure_request_submit(struct immure_client *client,
                                        const struct immure_request *request,
                                        immure_request_id *id);
/*
 * The callback will not be called. Always safe: an id of a request that has ended, that was
 * cancelled or that never existed is ignored. immured is told, so that it does not begin work that
 * nobody waits for.
 */
void immure_request_cancel(struct immure_client *client, immure_request_id id);

/* The number of pending requests, sent or not. */
size_t immure_client_pending(const struct immure_client *client);

/*
 * Bytes from immured, in any split of the stream. An error means that the peer does not speak this
 * protocol, or that it ended the stream with this error: close the connection, and reset.
 */
enum immure_error immure_client_receive(struct immure_client *client, const void *data,
                                        size_t length);
/* The bytes to send now; 0: none. *data is valid until the next call on this client. `now` is what
 * the time left to each request is counted from. */
size_t immure_client_output(struct immure_client *client, const void **data, uint64_t now);
/* The socket took the first `length` bytes of the last output. */
void immure_client_sent(struct immure_client *client, size_t length);
/* The connection is gone: the next output begins with HELLO and has every pending request again. */
void immure_client_reset(struct immure_client *client);

/* When to call immure_client_expire() next, in ns: no pending request has an earlier deadline.
 * UINT64_MAX: never. */
uint64_t immure_client_next_deadline(const struct immure_client *client);
/* Ends the requests whose deadline has passed, with IMMURE_E_TIMEOUT. */
void immure_client_expire(struct immure_client *client, uint64_t now);

#ifdef __cplusplus
}
#endif

#endif
