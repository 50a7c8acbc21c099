/*
 * EMSA-PKCS1-v1_5 and EMSA-PSS (RFC 8017, section 9): what an RSA private key is applied to.
 * libcrypto makes the encodings, but offers them alone only in functions that are deprecated
 * since 3.0; so they are called in this file and nowhere else.
 */
#ifndef KEYD_DRIVER_MULTIBUFFER_ENCODING_H
#define KEYD_DRIVER_MULTIBUFFER_ENCODING_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The public half, as the encoding wants it. NULL: out of memory. */
RSA *encoding_key_new(const EVP_PKEY *pair);
void encoding_key_free(RSA *key);

/* Writes as many bytes as the modulus has; `hash` made the digest, PSS salts are as long as it. */
bool encoding_make(uint8_t *encoded, RSA *key, const EVP_MD *hash, bool pss, const uint8_t *digest,
                   size_t digest_length);

#endif
