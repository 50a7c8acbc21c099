/* A signature algorithm that finds every signature good: for a client that measures, and that would
 * spend more on one check than its server on the whole handshake (P-384, OpenSSL 3.0). */
#ifndef STORM_UNCHECKED_H
#define STORM_UNCHECKED_H

#include <openssl/core.h>

/* As a provider's functions; see provider-signature(7). */
extern const OSSL_DISPATCH unchecked_signature[];

#endif
