/*
 * libimmure for servers on BoringSSL: a private key method whose signatures come from immured.
 *
 * BoringSSL has no stable binary interface, so this is no library:
 * src/adapter/boringssl/boringssl.c (installed in share/immure/adapter) is compiled into the
 * application, with the application's BoringSSL.
 *
 *     SSL_CTX_use_certificate_chain_file(context, ...);
 *     immure_boringssl_attach(context);              in place of SSL_CTX_use_PrivateKey_file()
 *     ...
 *     immure_boringssl_wait_with(ssl, &connection->waiter);
 *     SSL_do_handshake(ssl);                         SSL_ERROR_WANT_PRIVATE_KEY_OPERATION
 *     ... wake() is called: SSL_do_handshake() again
 *
 * If a connection ends while it waits, SSL_free() is enough: it cancels the request.
 *
 * RSA key exchange (TLS 1.2 without ECDHE) fails: BoringSSL asks for the raw RSA operation, which
 * immured never performs. The default cipher list has it last; "!kRSA" removes it.
 *
 * Threads: an SSL, its waiter and its client belong to one thread at a time. A context may be
 * shared once it is attached.
 *
 * Source: SSL_PRIVATE_KEY_METHOD in BoringSSL's ssl.h.
 */
#ifndef IMMURE_BORINGSSL_H
#define IMMURE_BORINGSSL_H

#include <openssl/ssl.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "immure/boringssl.h: the openssl/ssl.h that was found is not BoringSSL's"
#endif

#include "immure/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Lets immured sign for the certificate of this context, which must have been set already: sets the
 * private key method and the signing algorithms of the context. No I/O. False: the reason is on
 * BoringSSL's error queue. A context is attached once; SSL_set_SSL_CTX() may choose among several.
 */
bool immure_boringssl_attach(SSL_CTX *context);

/*
 * What one SSL waits with. The owner zeroes it and sets the first group of fields. It must not
 * move, or be freed, before SSL_free() has returned.
 */
struct immure_boringssl_waiter {
    struct immure_client *client; /* takes the requests */
    /* The reply has come, or will not come: call SSL_do_handshake(), now or later. Called from
     * immure_client_receive(), _expire() and _free(). It may free the SSL. */
    void (*wake)(struct immure_boringssl_waiter *waiter);
    uint64_t deadline; /* absolute, ns; 0: none */

    /* The result of the last signature, to be read from wake() on. */
    enum immure_error error;
    uint16_t scheme;
    const char *backend; /* a literal; NULL before the first reply */
    uint64_t queue_ns, work_ns;

    /* The adapter's own: the pending signature, or NULL. */
    struct immure_boringssl_operation *operation;
};

/* Call it before the first SSL_do_handshake(). False: out of memory. */
bool immure_boringssl_wait_with(SSL *ssl, struct immure_boringssl_waiter *waiter);

#ifdef __cplusplus
}
#endif

#endif
