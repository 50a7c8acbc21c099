/*
 * libimmure: ask an immured for signatures, without ever waiting for it.
 *
 * The core is sans-I/O. It opens no socket, starts no thread, never blocks and never ends the
 * application. The application owns the connection (any stream socket to immured) and the event
 * loop:
 *
 *     struct immure_client *client = immure_client_new(NULL);
 *     immure_sign(client, &request, done, connection, &id);     as often as needed in one loop turn
 *     ...
 *     end of the turn:   immure_client_output() -> send() -> immure_client_sent()
 *     bytes have come:   recv() -> immure_client_receive()      -> calls done()
 *     connection lost:   immure_client_reset(), then go on with a new connection
 *
 * Requests outlive connections: immure_client_reset() marks every pending request as unsent, and
 * they go out again after the HELLO of the next connection. Signing twice is harmless.
 *
 * Threads: a client belongs to one thread at a time. Different clients are independent.
 *
 * Callbacks run inside immure_client_receive(), immure_client_expire() and immure_client_free(),
 * once for each accepted request that was not cancelled. A callback may start and cancel requests
 * of the same client; it must not call receive, expire, reset or free.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds and comes from the application, which has it already.
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

/* A key is named by the SHA-256 of its DER SubjectPublicKeyInfo; the name survives restarts. */
#define IMMURE_KEY_ID_SIZE 32

/* The longest message that can be signed, in bytes. */
#define IMMURE_MESSAGE_MAX 65000

/* The longest signature there is, in bytes (ML-DSA-87). */
#define IMMURE_SIGNATURE_MAX 4627

/* The longest ciphertext that can be decrypted, in bytes (RSA-8192), and what comes out of it. */
#define IMMURE_CIPHERTEXT_MAX 1024
#define IMMURE_PREMASTER_SIZE 48

/*
 * What a client may hold at most. 0 means the default. A request that was sent and then cancelled
 * counts until immured has answered it or the connection is gone.
 */
struct immure_client_options {
    size_t max_requests; /* pending requests; default 4096, at most 65535 */
    size_t max_bytes;    /* bytes of pending messages and listings; default 16 MiB */
};

/* A pending request. Ids are never used twice within a client; 0 is never one. */
typedef uint64_t immure_request;

struct immure_sign_request {
    uint8_t key_id[IMMURE_KEY_ID_SIZE];
    uint16_t scheme;        /* enum immure_scheme */
    const uint8_t *message; /* whole, not hashed; copied by immure_sign() */
    size_t message_length;  /* 1 to IMMURE_MESSAGE_MAX */
    uint64_t deadline;      /* absolute, ns; 0: none. Late work is not begun. */
};

struct immure_signature {
    enum immure_error error;  /* IMMURE_OK, or the fields below say nothing */
    const char *error_text;   /* what immured said about it, or immure_error_text(); never NULL */
    const uint8_t *signature; /* as it goes into the TLS handshake; valid during the callback */
    size_t signature_length;
    const char *backend; /* the signing backend in immured: "openssl" ...; a literal */
    uint64_t queue_ns;   /* how long the request waited in immured's queue, to 50 us */
    uint64_t sign_ns;    /* how long the batch took that it was in, to 50 us */
};

/*
 * A ClientKeyExchange of TLS 1.2 with RSA key exchange. immured decrypts it where the key's
 * configuration says so. What it answers is a premaster secret in any case: one of its own if the
 * ciphertext is none, the same each time, and nobody is told (RFC 5246, section 7.4.7.1).
 */
struct immure_decrypt_request {
    uint8_t key_id[IMMURE_KEY_ID_SIZE];
    uint16_t client_version;   /* as in the ClientHello, 0x0303 for TLS 1.2 */
    const uint8_t *ciphertext; /* copied by immure_decrypt() */
    size_t ciphertext_length;  /* 1 to IMMURE_CIPHERTEXT_MAX */
    uint64_t deadline;         /* absolute, ns; 0: none. Late work is not begun. */
};

struct immure_decrypted {
    enum immure_error error;  /* IMMURE_OK, or the fields below say nothing */
    const char *error_text;   /* as in struct immure_signature */
    const uint8_t *premaster; /* IMMURE_PREMASTER_SIZE bytes; valid during the callback */
    const char *backend;
    uint64_t queue_ns, decrypt_ns; /* 0: immured tells nobody */
};

struct immure_key {
    uint8_t id[IMMURE_KEY_ID_SIZE];
    const char *name;    /* as immured's operator named it; not unique */
    const uint8_t *spki; /* DER SubjectPublicKeyInfo */
    size_t spki_length;
    const char *backend;       /* in immured, what signs with it one by one: "openssl"; a literal */
    const char *lanes_backend; /* what signs many at once, if that is quicker; else NULL */
    unsigned lanes_from, lanes; /* so many requests that wait, from .. to; 0 without such a one */
    const uint16_t *schemes;    /* what the key can sign under */
    size_t scheme_count;
};

/* One figure of immured. Names and units are those of docs/protocol.md; unknown ones have name
 * NULL. */
struct immure_stat {
    const char *name; /* "signatures_total"; a literal */
    const char *help;
    bool counter; /* only ever grows while immured lives; else a gauge */
    uint64_t value;
};

/*
 * Keys of session tickets (RFC 5077, section 4; RFC 8446, section 4.6.1), which immured derives
 * from a secret that it does not give away. Every epoch has a key of its own, the same in every
 * immured that has the same secret. New tickets are made with the current one; the previous one
 * still opens what it has made. Whoever has them can read tickets, and with them sessions: forget
 * those that are replaced.
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
    enum immure_error error; /* IMMURE_OK, or the fields below say nothing; IMMURE_E_NO_TICKETS:
                                immured has no secret */
    const char *error_text;  /* as in struct immure_signature */
    const struct immure_ticket_key *current, *previous; /* valid during the callback */
    uint64_t epoch;                                     /* number of the current epoch */
    uint64_t epoch_ns, time_left_ns; /* how long an epoch is; until the next: ask again then */
};

typedef void immure_sign_callback(void *arg, const struct immure_signature *signature);
typedef void immure_decrypt_callback(void *arg, const struct immure_decrypted *decrypted);
/* Called once for each key, then once with key NULL and how it ended. */
typedef void immure_list_callback(void *arg, const struct immure_key *key, enum immure_error error);
typedef void immure_stats_callback(void *arg, const struct immure_stat *stats, size_t count,
                                   enum immure_error error);
typedef void immure_ping_callback(void *arg, enum immure_error error);
typedef void immure_ticket_keys_callback(void *arg, const struct immure_ticket_keys *keys);

struct immure_client;

/* options may be NULL. NULL on lack of memory. */
struct immure_client *immure_client_new(const struct immure_client_options *options);
/* Every pending request ends with IMMURE_E_CLOSED. NULL is allowed. */
void immure_client_free(struct immure_client *client);

/*
 * Requests. Accepted (IMMURE_OK): the callback will come, exactly once, unless it is cancelled; *id
 * (may be NULL) names the request. Not accepted (IMMURE_E_FULL, _ARGUMENT, _MEMORY; _CLOSED from a
 * callback of immure_client_free()): no callback.
 * Nothing is sent before immure_client_output().
 */
enum immure_error immure_sign(struct immure_client *client,
                              const struct immure_sign_request *request,
                              immure_sign_callback *callback, void *arg, immure_request *id);
enum immure_error immure_decrypt(struct immure_client *client,
                                 const struct immure_decrypt_request *request,
                                 immure_decrypt_callback *callback, void *arg, immure_request *id);
enum immure_error immure_list(struct immure_client *client, immure_list_callback *callback,
                              void *arg, immure_request *id);
enum immure_error immure_stats(struct immure_client *client, immure_stats_callback *callback,
                               void *arg, immure_request *id);
enum immure_error immure_ping(struct immure_client *client, immure_ping_callback *callback,
                              void *arg, immure_request *id);
enum immure_error immure_ticket_keys(struct immure_client *client,
                                     immure_ticket_keys_callback *callback, void *arg,
                                     immure_request *id);

/*
 * Always safe: an id that is done, cancelled or never was is ignored. The callback will not come.
 * immured is told, so that work nobody waits for is not begun.
 */
void immure_request_cancel(struct immure_client *client, immure_request id);

/* Pending requests, sent or not. */
size_t immure_client_pending(const struct immure_client *client);

/*
 * The exchange. receive takes any split of the stream. An error means that the peer does not speak
 * this protocol (or ended it with the error it returned): close the connection and reset.
 */
enum immure_error immure_client_receive(struct immure_client *client, const void *data,
                                        size_t length, uint64_t now);
/* Bytes to send now, 0 if none; *data is valid until the next call on this client. */
size_t immure_client_output(struct immure_client *client, const void **data, uint64_t now);
/* The first `length` bytes of the last output were taken by the socket. */
void immure_client_sent(struct immure_client *client, size_t length);
/* The connection is gone: a new one starts with HELLO and sends every pending request again. */
void immure_client_reset(struct immure_client *client);

/* When to call expire next, in ns: no pending request's deadline is earlier. UINT64_MAX: never. */
uint64_t immure_client_next_deadline(const struct immure_client *client);
/* Ends those whose deadline has passed with IMMURE_E_TIMEOUT. */
void immure_client_expire(struct immure_client *client, uint64_t now);

#ifdef __cplusplus
}
#endif

#endif
