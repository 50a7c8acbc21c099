/* A signature algorithm that accepts every signature, for a load generator: one verification can
 * cost more than the server's whole handshake (P-384, OpenSSL 3.0). */
#ifndef STORM_UNCHECKED_H
#define STORM_UNCHECKED_H

#include <openssl/core.h>

/* A provider's dispatch table, see provider-signature(7). */
extern const OSSL_DISPATCH unchecked_signature[];

#endif
