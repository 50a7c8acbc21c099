/* Public keys from immured's list or from a file: their ids and types, and verification with
 * libcrypto. */
#ifndef OPERATOR_PUBLIC_KEY_H
#define OPERATOR_PUBLIC_KEY_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"

#define PUBLIC_KEY_TYPE_SIZE 48

struct public_key {
    uint8_t *spki; /* DER SubjectPublicKeyInfo */
    size_t spki_length;
    uint8_t id[IMMURE_KEY_ID_SIZE];  /* its SHA-256 */
    EVP_PKEY *pkey;                  /* NULL: this libcrypto does not know the type */
    char type[PUBLIC_KEY_TYPE_SIZE]; /* "RSA-2048", "P-256", "Ed25519", "unknown" */
};

/* Copies the bytes. False: out of memory, and there is nothing to free. */
bool public_key_take(struct public_key *key, const uint8_t *spki, size_t spki_length);
/* Reads the key of the first certificate in a file, or a public key file; PEM or DER. Returns NULL,
 * or what is wrong; then there is nothing to free. */
const char *public_key_read(struct public_key *key, const char *file);
/* An all-zero struct is allowed. */
void public_key_free(struct public_key *key);

/* Whether immured supports this type of key. `public_keys_taken` lists the types that it
 * supports. */
bool public_key_is_taken(const struct public_key *key);
extern const char public_keys_taken[];

bool public_key_same(const struct public_key *one, const struct public_key *other);
/* Whether this TLS SignatureScheme may be used in TLS 1.3 with this key (RFC 8446, section 4.2.3).
 */
bool public_key_takes_tls13(const struct public_key *key, uint16_t scheme);
/* Verifies a signature of this message under this TLS SignatureScheme. */
bool public_key_verifies(const struct public_key *key, uint16_t scheme, const uint8_t *message,
                         size_t message_length, const uint8_t *signature, size_t signature_length);

#endif
