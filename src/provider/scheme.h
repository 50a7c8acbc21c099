/* Maps OpenSSL's digest, padding and salt length to a TLS SignatureScheme. */
#ifndef PROVIDER_SCHEME_H
#define PROVIDER_SCHEME_H

#include <stdbool.h>
#include <stdint.h>

#include "provider/key.h"

/* Whether the key can sign with this digest under any scheme. */
bool digest_has_scheme(const struct provider_key *key, enum digest digest);
/* The scheme, or 0 if there is none. The salt length is in bytes, or RSA_PSS_SALTLEN_DIGEST. */
uint16_t scheme_of(const struct provider_key *key, enum digest digest, int padding,
                   int salt_length);

#endif
