/*
 * libimmure for servers on OpenSSL >= 3.0: a provider, built in, whose private keys are in immured.
 *
 * A library context with `default` and this provider, an EVP_PKEY made from a SubjectPublicKeyInfo,
 * and SSL_CTX_use_PrivateKey() as with any key. When libssl then wants a signature, the provider
 * asks the *waiter* that the thread has entered:
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
 * A connection that ends, while it waits or not: immure_openssl_free() in place of SSL_free().
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

/* The property query for SSL_CTX_new_ex(): everything that is not a key of ours comes from
 * `default`. */
#define IMMURE_OPENSSL_PROPERTIES "?provider!=immure"

/*
 * A library context with `default` and `immure` active. NULL on failure, with the reason on
 * OpenSSL's error queue.
 */
OSSL_LIB_CTX *immure_openssl_context(void);
/* After all that was made from it. OSSL_LIB_CTX_free() alone would not unload the two. NULL is
 * allowed. */
void immure_openssl_context_free(OSSL_LIB_CTX *context);

/* The key whose public half this DER SubjectPublicKeyInfo is. No I/O. NULL: reason on the error
 * queue. */
EVP_PKEY *immure_openssl_key(OSSL_LIB_CTX *context, const uint8_t *spki, size_t spki_length);

/* What one handshake waits with. The owner zeroes it and sets the first group; one handshake at a
 * time. */
struct immure_waiter {
    struct immure_client *client;     /* asynchronous: requests go here */
    struct immure_blocking *blocking; /* synchronous, if not NULL: the round trip is made here */
    void (*wake)(struct immure_waiter *waiter); /* the reply is there; called from receive/expire */
    uint64_t deadline;                          /* absolute, ns; 0: none */

    /* How the last signature went; may be read when the handshake step has returned. */
    enum immure_error error;
    uint16_t scheme;     /* 0: it was no signature but a decryption, for RSA key exchange */
    const char *backend; /* a literal; NULL before the first reply */
    uint64_t queue_ns, work_ns;
    uint64_t asked_at, answered_at; /* CLOCK_MONOTONIC, ns */

    /* The provider's: the signature that is waited for, NULL if none. */
    struct immure_openssl_operation *operation;
};

/* The waiter that signatures on this thread use from now on, and that they use none. */
void immure_waiter_enter(struct immure_waiter *waiter);
void immure_waiter_leave(void);
/* Gives up what it waits for. Harmless if it waits for nothing. wake() will not be called. */
void immure_waiter_cancel(struct immure_waiter *waiter);

/*
 * SSL_free() at any time, on the thread of the handshake. A paused handshake must return before,
 * else libssl leaks its fibre: it is cancelled and goes on to its end, whose alert goes nowhere.
 * NULL is allowed for the SSL.
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
