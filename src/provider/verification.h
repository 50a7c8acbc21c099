/*
 * What a signature context does with the public half of its key, by OpenSSL's own implementation:
 * it verifies, and it tells what its parameters are and how X.509 calls them.
 */
#ifndef PROVIDER_VERIFICATION_H
#define PROVIDER_VERIFICATION_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "provider/key.h"

struct verification {
    EVP_MD_CTX *message;   /* for a message; NULL: for a digest, or not begun */
    EVP_PKEY_CTX *context; /* the message's, or its own; NULL: not begun */
};

/* Of a message, with this digest (NULL: the algorithm's own). False, as everywhere here: the reason
 * is on the error queue, and there is nothing to end. */
bool verification_begin(struct verification *verification, const struct key *key,
                        const char *digest, const OSSL_PARAM params[]);
/* Of a digest, by EVP_PKEY_verify_init_ex() or EVP_PKEY_verify_recover_init_ex(). */
bool verification_begin_digest(struct verification *verification, const struct key *key,
                               int (*begin)(EVP_PKEY_CTX *context, const OSSL_PARAM params[]),
                               const OSSL_PARAM params[]);
bool verification_copy(struct verification *copy, const struct verification *verification);
/* All zeros is allowed. */
void verification_end(struct verification *verification);

#endif
