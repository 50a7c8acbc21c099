/* Both ends of a handshake with a key of provider_fixture.h, whose server has the provider. */
#ifndef TESTS_TLS_CONTEXTS_H
#define TESTS_TLS_CONTEXTS_H

#include <openssl/ssl.h>

#include "provider_fixture.h"

/* A handshake by key, TLS version and the client's signature algorithms (NULL: all), and the
 * SignatureScheme that comes of it. */
struct combination {
    size_t key;
    int version;
    const char *algorithms;
    uint16_t scheme;
};

/* `mode`: of SSL_CTX_set_mode(). */
SSL_CTX *make_server(size_t key, uint32_t mode);
/* Its root is the key's certificate, so it verifies only the signature over the handshake. */
SSL_CTX *make_client(size_t key, int version, const char *algorithms);

#endif
