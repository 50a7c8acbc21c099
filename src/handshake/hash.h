/* A digest of the key schedule (key_schedule.h). */
#ifndef HANDSHAKE_HASH_H
#define HANDSHAKE_HASH_H

#include <openssl/types.h>
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

#endif
