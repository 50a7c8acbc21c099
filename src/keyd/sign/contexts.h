/*
 * A cache of initialised EVP_PKEY_CTXs for one thread, so that libcrypto fetches and initialises
 * nothing for a key and scheme that were used lately. It is bounded because there may be thousands
 * of keys.
 */
#ifndef KEYD_SIGN_CONTEXTS_H
#define KEYD_SIGN_CONTEXTS_H

#include "keyd/keys/key.h"

struct contexts;

enum contexts_purpose { CONTEXTS_SIGN, CONTEXTS_VERIFY };

/* NULL: out of memory. */
struct contexts *contexts_new(enum contexts_purpose purpose);
void contexts_free(struct contexts *contexts);
/* Lets go of all keys. */
void contexts_clear(struct contexts *contexts);
/* A context for EVP_PKEY_sign() with the key pair or EVP_PKEY_verify() with the public copy, of a
 * digest (not for Ed25519). It is valid until the next call. NULL: libcrypto refused. */
EVP_PKEY_CTX *contexts_get(struct contexts *contexts, const struct key *key,
                           const struct wire_scheme *scheme);

/* Initialises a context for digests of this scheme. False: libcrypto refused. */
bool context_set_up(EVP_PKEY_CTX *context, enum contexts_purpose purpose,
                    const struct wire_scheme *scheme);

#endif
