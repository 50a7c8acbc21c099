/*
 * A library context for one storm thread, in which a client's handshake costs less than in
 * OpenSSL's default one, so that each core makes more of them:
 *
 *   - the key schedule and X25519 key pairs come from src/handshake, as in immure-proxy;
 *   - only the decoders of public keys are present, because OpenSSL 3.0 tries all decoders for each
 * certificate;
 *   - if wanted, the server's signatures are not checked (unchecked.h).
 *
 * Everything else comes from the default provider. Only one thread may use it.
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

/* False: out of memory. Call library_close() in any case. */
bool library_open(struct library *library, bool unchecked);
/* Call it after freeing everything that was made from the library. */
void library_close(struct library *library);
/* Like SSL_CTX_new(TLS_client_method()), in this library. */
SSL_CTX *library_client(const struct library *library);

#endif
