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
#include <stddef.h>
#include <stdint.h>

#define KEY_SCHEDULE_HASHES 2 /* SHA-256, SHA-384 */
#define KEY_SCHEDULE_SIZE_MAX 48
#define KEY_SCHEDULE_BLOCK_MAX 128

/* A digest, with the values that are the same in every handshake. */
struct key_schedule_hash {
    EVP_MD *digest;
    EVP_MD_CTX *running; /* reused: setting one up costs more than hashing a secret */
    size_t size, block;
    uint8_t of_nothing[KEY_SCHEDULE_SIZE_MAX];    /* the hash of an empty transcript */
    uint8_t early_secret[KEY_SCHEDULE_SIZE_MAX];  /* without a pre-shared key */
    uint8_t early_derived[KEY_SCHEDULE_SIZE_MAX]; /* Derive-Secret(early_secret, "derived", "") */
};

/* Fetches the digests from the default provider of this context. False: out of memory. */
bool key_schedule_init(struct key_schedule_hash hashes[KEY_SCHEDULE_HASHES], OSSL_LIB_CTX *context);
void key_schedule_release(struct key_schedule_hash hashes[KEY_SCHEDULE_HASHES]);

#endif
