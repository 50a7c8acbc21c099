/*
 * TLS13-KDF, the key schedule of TLS 1.3: HKDF-Extract with the Derive-Secret before it, and
 * HKDF-Expand-Label. It does what EVP_KDF-TLS13_KDF(7) describes, but supports only the two digests
 * of the TLS 1.3 cipher suites.
 *
 * Source: RFC 8446, section 7.1; RFC 5869.
 */
#ifndef HANDSHAKE_KEY_SCHEDULE_H
#define HANDSHAKE_KEY_SCHEDULE_H

#include <openssl/types.h>
#include <stdbool.h>

#include "handshake/hash.h"

/* Fetches the digests from the default provider of this context. False: out of memory. */
bool key_schedule_init(struct key_schedule_hash hashes[KEY_SCHEDULE_HASHES], OSSL_LIB_CTX *context);
void key_schedule_release(struct key_schedule_hash hashes[KEY_SCHEDULE_HASHES]);

#endif
