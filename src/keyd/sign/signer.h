/*
 * What signs, on whatever thread it is used: hashes, has a driver sign, verifies, and has
 * libcrypto sign again what failed. A faulty signature can give the key away (Boneh, DeMillo,
 * Lipton 1997; Schmidt, Medwed 2009), so each is verified against its message, hashed anew, with
 * key->public.
 *
 * One thread at a time.
 */
#ifndef KEYD_SIGN_SIGNER_H
#define KEYD_SIGN_SIGNER_H

#include <openssl/types.h>
#include <stdatomic.h>

#include "keyd/sign/kind.h"

struct signer {
    const struct driver *const *drivers;
    void **states; /* by place in `drivers` */
    struct contexts *verifier;
    EVP_MD_CTX *hash, *whole; /* of digests, and of messages that are verified whole */
    EVP_MD **digests;         /* fetched, by place in wire_schemes; NULL where there is none */
};

/* `drivers` (ended by NULL, the first is libcrypto) have been opened. False: reason logged;
 * release it all the same. */
bool signer_init(struct signer *signer, const struct driver *const *drivers);
void signer_release(struct signer *signer);

/* Jobs of one kind: sets the outcome of each. Returns how long it took, ns. */
uint64_t signer_sign(struct signer *signer, struct job *const *batch, size_t count);
/* The same by the driver that is named: for the tests at the start. */
uint64_t signer_sign_by(struct signer *signer, const struct driver *driver,
                        struct job *const *batch, size_t count);

#endif
