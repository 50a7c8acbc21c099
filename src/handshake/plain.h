/* X25519 by OpenSSL's default provider, for where the lanes are missing, not worthwhile, or not to
 * be trusted with a key. */
#ifndef HANDSHAKE_PLAIN_H
#define HANDSHAKE_PLAIN_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "handshake/lanes.h"

struct key_pair {
    uint8_t private[X25519_SIZE], public[X25519_SIZE];
};

/* False: out of memory or no randomness. */
bool plain_generate(OSSL_LIB_CTX *context, struct key_pair *pair);
/* False if the secret would be zero (RFC 7748, section 6.1) or memory is short. */
bool plain_derive(OSSL_LIB_CTX *context, const struct key_pair *own,
                  const uint8_t peer[X25519_SIZE], uint8_t secret[X25519_SIZE]);
/* Computes the public half of own->private. */
bool plain_make_public(OSSL_LIB_CTX *context, struct key_pair *own);

#endif
