/* AES-256-GCM for what a supervisor keeps: the records of a vault (files.h) and what is changed in
 * it later (key_records.h). */
#ifndef KEYD_KEYS_AEAD_H
#define KEYD_KEYS_AEAD_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE 16

/* What is encrypted or decrypted in place, with its tag behind it. */
struct aead_text {
    const struct iovec *authenticated; /* is authenticated with it, and stays readable */
    size_t authenticated_count;
    uint8_t *bytes;
    size_t length;
    uint8_t *tag; /* AEAD_TAG_SIZE bytes: written by sealing, compared by opening */
};

/* `key` has 32 bytes; a nonce must be used only once with it. False with EPROTO: the tag is wrong,
 * or libcrypto refused. */
bool aead_apply(EVP_CIPHER *cipher, const uint8_t *key, bool seal,
                const uint8_t nonce[static AEAD_NONCE_SIZE], const struct aead_text *text);

#endif
