/*
 * Makes signatures on the calling thread: hashes the message, has a driver sign, verifies, and has
 * libcrypto repeat what failed. A faulty signature can give the key away (Boneh, DeMillo, Lipton
 * 1997; Schmidt, Medwed 2009), so each is verified with key->public against its message, which is
 * hashed anew.
 *
 * Only one thread at a time may use a signer.
 */
#ifndef KEYD_SIGN_SIGNER_H
#define KEYD_SIGN_SIGNER_H

#include <openssl/types.h>
#include <stdatomic.h>

#include "keyd/sign/kind.h"
#include "keyd/sign/opener.h"

struct signer {
    const struct driver *const *drivers;
    void **states; /* by place in `drivers` */
    struct contexts *verifier;
    EVP_MD_CTX *hash, *whole; /* for digests, and for verifying whole messages */
    struct opener opener;
    EVP_MD **digests; /* fetched, by place in wire_schemes; NULL where there is none */
};

/* `drivers` are open and end with NULL; the first is libcrypto. False: reason logged; the caller
 * still releases the signer. */
bool signer_init(struct signer *signer, const struct driver *const *drivers);
void signer_release(struct signer *signer);

/* Lets go of all keys that it has used, so that those that were removed are wiped. */
void signer_clear(struct signer *signer);

/* Sets the outcome of each job; all are of one kind. Returns the time that it took, ns. */
uint64_t signer_sign(struct signer *signer, struct job *const *batch, size_t count);
/* The same with a given driver, for the tests at the start. */
uint64_t signer_sign_by(struct signer *signer, const struct driver *driver,
                        struct job *const *batch, size_t count);

#endif
