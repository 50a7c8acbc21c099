/*
 * The operations of a signature context that need only the public half of its key, done by
 * OpenSSL's own implementation: verification, and reading parameters such as the X.509 algorithm
 * identifier.
 */
#ifndef PROVIDER_VERIFICATION_H
#define PROVIDER_VERIFICATION_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "provider/key.h"

struct verification {
    EVP_MD_CTX *message;   /* for a message; NULL if it is for a digest or not begun */
    EVP_PKEY_CTX *context; /* of `message`, or its own; NULL: not begun */
};

/* Begins to verify a message with this digest (NULL: the algorithm's own). All functions here
 * return false with the reason on the error queue, and then there is nothing to end. */
bool verification_begin(struct verification *verification, const struct provider_key *key,
                        const char *digest, const OSSL_PARAM params[]);
/* Begins to verify a digest; `begin` is EVP_PKEY_verify_init_ex() or
 * EVP_PKEY_verify_recover_init_ex(). */
bool verification_begin_digest(struct verification *verification, const struct provider_key *key,
                               int (*begin)(EVP_PKEY_CTX *context, const OSSL_PARAM params[]),
                               const OSSL_PARAM params[]);
bool verification_copy(struct verification *copy, const struct verification *verification);
/* An all-zero struct is allowed. */
void verification_end(struct verification *verification);

#endif
