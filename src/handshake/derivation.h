/* X25519 secrets: derived at once by OpenSSL's default provider or, within a job that can pause,
 * together with all others of the turn. The public half is fast_handshake.h. */
#ifndef HANDSHAKE_DERIVATION_H
#define HANDSHAKE_DERIVATION_H

#include "handshake/instance.h"
#include "handshake/plain.h"

/* May pause the async job that it runs in. False if it failed or was cancelled. */
bool derivation_make(struct fast_handshake *fast, const struct key_pair *own,
                     const uint8_t peer[X25519_SIZE], uint8_t secret[X25519_SIZE]);

#endif
