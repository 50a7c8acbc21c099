/*
 * libimmure for servers on OpenSSL >= 3.0: a built-in provider whose private keys are in immured.
 *
 * The application makes a library context with `default` and this provider, makes an EVP_PKEY of a
 * SubjectPublicKeyInfo, and calls SSL_CTX_use_PrivateKey() as with any key. When libssl needs a
 * signature, the provider uses the *waiter* that the thread has entered:
 *
 *   - within an OpenSSL async job (SSL_MODE_ASYNC) the request goes to the waiter's client, the job
 *     pauses (SSL_ERROR_WANT_ASYNC), and wake() is called when the signature is there: call
 *     SSL_do_handshake() again, on the same thread;
 *   - with `blocking` set the round trip is made at once, and the thread waits for it.
 *
 *     immure_waiter_enter(&connection->waiter);
 *     result = SSL_do_handshake(ssl);
 *     immure_waiter_leave();
 *
 * When a connection ends, call immure_openssl_free() in place of SSL_free(): it may be waiting.
 *
 * Source: OSSL_PROVIDER(7), ASYNC_start_job(3).
 */
#ifndef IMMURE_OPENSSL_H
#define IMMURE_OPENSSL_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "immure/blocking.h"
#include "immure/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The property query for SSL_CTX_new_ex(): everything except the keys of this provider comes from
 * `default`. */
#define IMMURE_OPENSSL_PROPERTIES "?provider!=immure"

/*
 * A library context with `default` and `immure` active. NULL on failure, with the reason on
 * OpenSSL's error queue.
 */
OSSL_LIB_CTX *immure_openssl_context(void);
/* Call it after everything that was made from the context is freed. OSSL_LIB_CTX_free() alone would
 * not unload the two providers. NULL is allowed. */
void immure_openssl_context_free(OSSL_LIB_CTX *context);

/* The private key that belongs to this DER SubjectPublicKeyInfo. No I/O. NULL: the reason is on the
 * error queue. */
EVP_PKEY *immure_openssl_key(OSSL_LIB_CTX *context, const uint8_t *spki, size_t spki_length);

/* What one handshake waits with. The owner zeroes it and sets the first group of fields. A waiter
 * serves one handshake at a time. */
struct immure_waiter {
    struct immure_client *client;     /* asynchronous: takes the requests */
    struct immure_blocking *blocking; /* synchronous, if not NULL: the round trip is made here */
    void (*wake)(struct immure_waiter *waiter); /* the reply has come; called from
                                                    receive, expire and free */
    uint64_t deadline;                          /* absolute, ns; 0: none */

    /* The result of the last signature, to be read when SSL_do_handshake() has returned. */
    enum immure_error error;
    uint16_t scheme;     /* 0: it was not a signature but a decryption, for RSA key exchange */
    const char *backend; /* a literal; NULL before the first reply */
    uint64_t queue_ns, work_ns;
    uint64_t asked_at, answered_at; /* CLOCK_MONOTONIC, ns */

    /* The provider's own: the pending signature, or NULL. */
    struct immure_openssl_operation *operation;
};

/* From now on, signatures on this thread use this waiter; after leave they use none. */
void immure_waiter_enter(struct immure_waiter *waiter);
void immure_waiter_leave(void);
/* Cancels the pending signature, if there is one. wake() will not be called. */
void immure_waiter_cancel(struct immure_waiter *waiter);

/*
 * SSL_free() at any time, on the thread of the handshake. libssl would leak the fibre of a
 * handshake that is paused: so the handshake is cancelled and runs to its end first, and its alert
 * is discarded. The SSL may be NULL.
 */
static inline void immure_openssl_free(SSL *ssl, struct immure_waiter *waiter)
{
    if (ssl != NULL && waiter->operation != NULL) {
        BIO *nowhere = BIO_new(BIO_s_null());
        SSL_set_bio(ssl, nowhere, nowhere);
        immure_waiter_cancel(waiter);
        immure_waiter_enter(waiter);
        SSL_do_handshake(ssl);
        immure_waiter_leave();
        ERR_clear_error();
    }
    SSL_free(ssl);
}

#ifdef __cplusplus
}
#endif

#endif
