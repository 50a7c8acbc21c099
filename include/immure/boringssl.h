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
 * A connection that ends while it waits needs nothing but SSL_free(), which cancels the request.
 *
 * RSA key exchange (TLS 1.2 without ECDHE) is refused: BoringSSL wants the raw RSA operation for
 * it, which immured has for nobody. The default cipher list offers it last; "!kRSA" leaves it out.
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
 * Signatures for this context's certificate, which must be there already, are made in immured.
 * Sets the context's private key method and its signing algorithms. No I/O. False: the reason is on
 * BoringSSL's error queue. A context is attached once; SSL_set_SSL_CTX() may choose among several.
 */
bool immure_boringssl_attach(SSL_CTX *context);

/*
 * What one SSL waits with. The owner zeroes it and sets the first group; it stays where it is until
 * SSL_free() has returned.
 */
struct immure_boringssl_waiter {
    struct immure_client *client; /* requests go here */
    /* The reply is there, or will not come: call SSL_do_handshake(), now or later. Called from
     * immure_client_receive(), _expire() and _free(); may free the SSL. */
    void (*wake)(struct immure_boringssl_waiter *waiter);
    uint64_t deadline; /* absolute, ns; 0: none */

    /* How the last signature went; may be read when wake() is called and later. */
    enum immure_error error;
    uint16_t scheme;
    const char *backend; /* a literal; NULL before the first reply */
    uint64_t queue_ns, work_ns;

    /* The adapter's: the signature that is waited for, NULL if none. */
    struct immure_boringssl_operation *operation;
};

/* Before the first SSL_do_handshake(). False on lack of memory. */
bool immure_boringssl_wait_with(SSL *ssl, struct immure_boringssl_waiter *waiter);

#ifdef __cplusplus
}
#endif

#endif
