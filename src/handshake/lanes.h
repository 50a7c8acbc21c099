/*
 * X25519 in the eight lanes of crypto_mb.
 *
 * The lanes may compute a wrong secret for public keys that lanes_serve_key() refuses, so callers
 * must ask it first.
 */
#ifndef HANDSHAKE_LANES_H
#define HANDSHAKE_LANES_H

#include "multibuffer/multibuffer.h"

#define X25519_SIZE 32

struct lanes {
    const char *soname; /* NULL: no library is loaded */
    multibuffer_algorithm_info *algorithm_info;
    multibuffer_status (*public_key)(lanes_out public, lanes_in private);
    multibuffer_status (*shared_secret)(lanes_out secret, lanes_in private, lanes_in public);
};

/* False if the lanes may compute a wrong secret for this public key. */
bool lanes_serve_key(const uint8_t public[X25519_SIZE]);

/* For 1 to 8 keys. The return value has a bit for each lane, set if its result is good. */
unsigned lanes_make_public(const struct lanes *lanes, size_t count,
                           const uint8_t private[][X25519_SIZE], uint8_t public[][X25519_SIZE]);
struct lanes_job {
    const uint8_t *private, *public;
    uint8_t *secret;
};
unsigned lanes_derive(const struct lanes *lanes, const struct lanes_job *jobs, size_t count);

#endif
