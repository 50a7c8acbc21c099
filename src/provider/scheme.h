/* Which TLS SignatureScheme it is that OpenSSL's digest, padding and salt length ask for. */
#ifndef PROVIDER_SCHEME_H
#define PROVIDER_SCHEME_H

#include <stdbool.h>
#include <stdint.h>

#include "provider/key.h"

/* NULL is no digest, as for Ed25519; DIGEST_OTHER one that no scheme has. */
enum digest digest_of(const char *name);
/* As OpenSSL calls it; NULL: there is none. */
const char *digest_name(enum digest digest);

/* Whether the key can sign with this digest under any scheme. */
bool digest_has_scheme(const struct key *key, enum digest digest);
/* The salt length is in bytes, or RSA_PSS_SALTLEN_DIGEST. 0: there is none. */
uint16_t scheme_of(const struct key *key, enum digest digest, int padding, int salt_length);

/* What this key of type RSA-PSS may be used with. */
struct pss_limits pss_limits_of(const EVP_PKEY *public);

#endif
