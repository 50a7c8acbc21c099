/*
 * Ready EVP_PKEY_CTXs of one thread, so that nothing is fetched or initialised for a signature that
 * was made lately under the same key and scheme. A bounded cache: keys may be thousands.
 */
#ifndef KEYD_SIGN_CONTEXTS_H
#define KEYD_SIGN_CONTEXTS_H

#include "keyd/keys/key.h"

struct contexts;

enum contexts_purpose { CONTEXTS_SIGN, CONTEXTS_VERIFY };

/* NULL: out of memory. */
struct contexts *contexts_new(enum contexts_purpose purpose);
void contexts_free(struct contexts *contexts);
/* For EVP_PKEY_sign() with the pair, or EVP_PKEY_verify() with the public copy, of a digest (not
 * Ed25519). NULL: libcrypto refused.
 * Valid until the next call. */
EVP_PKEY_CTX *contexts_get(struct contexts *contexts, const struct key *key,
                           const struct wire_scheme *scheme);

/* For a digest of this scheme. False: libcrypto refused. */
bool context_set_up(EVP_PKEY_CTX *context, enum contexts_purpose purpose,
                    const struct wire_scheme *scheme);

#endif
