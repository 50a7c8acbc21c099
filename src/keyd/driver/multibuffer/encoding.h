/*
 * EMSA-PKCS1-v1_5 and EMSA-PSS (RFC 8017, section 9): the encodings to which the RSA private key is
 * applied. libcrypto offers them by themselves only in functions that are deprecated since 3.0,
 * which are therefore called in this file and nowhere else.
 */
#ifndef KEYD_DRIVER_MULTIBUFFER_ENCODING_H
#define KEYD_DRIVER_MULTIBUFFER_ENCODING_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The public half, as the encoding functions need it. NULL: out of memory. */
RSA *encoding_key_new(const EVP_PKEY *pair);
void encoding_key_free(RSA *key);

/* Writes as many bytes as the modulus has. `hash` has made the digest; a PSS salt has its length.
 */
bool encoding_make(uint8_t *encoded, RSA *key, const EVP_MD *hash, bool pss, const uint8_t *digest,
                   size_t digest_length);

#endif
