/*
 * A library context of a storm thread's own, in which a client's handshake costs less than in
 * OpenSSL's default one, so that a core of storm makes more of them:
 *
 *   - the key schedule and X25519 key pairs are src/handshake's, as in immure-proxy;
 *   - of the decoders only those of public keys are there: for each certificate OpenSSL 3.0 tries
 *     which of all the others might lead to one;
 *   - if wanted, the server's signatures are not checked (unchecked.h).
 *
 * Everything else is the `default` provider's. One thread uses it.
 */
#ifndef STORM_LIBRARY_H
#define STORM_LIBRARY_H

#include <openssl/ssl.h>
#include <stdbool.h>

struct library {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
    struct fast_handshake *fast;
};

/* False: no memory. To be closed in any case. */
bool library_open(struct library *library, bool unchecked);
/* After all that was made from it. */
void library_close(struct library *library);
/* As SSL_CTX_new(TLS_client_method()), in it. */
SSL_CTX *library_client(const struct library *library);

#endif
