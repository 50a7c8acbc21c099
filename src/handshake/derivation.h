/* X25519 secrets: at once by `default`, or, within a job that can pause, with all others of the
 * turn. The public half is fast_handshake.h. */
#ifndef HANDSHAKE_DERIVATION_H
#define HANDSHAKE_DERIVATION_H

#include "handshake/plain.h"
#include "handshake/provider.h"

/* May pause the async job it runs in. False: no secret, or cancelled. */
bool derivation_make(struct fast_handshake *fast, const struct key_pair *own,
                     const uint8_t peer[X25519_SIZE], uint8_t secret[X25519_SIZE]);

#endif
