/* The TLS SignatureSchemes that immure knows, one row each; both ends use them. */
#ifndef WIRE_SCHEME_H
#define WIRE_SCHEME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "immure/scheme.h"

enum wire_key_type {
    WIRE_KEY_RSA,
    WIRE_KEY_EC,
    WIRE_KEY_ED25519,
    WIRE_KEY_RSA_PSS,
    WIRE_KEY_MLDSA44,
    WIRE_KEY_MLDSA65,
    WIRE_KEY_MLDSA87
};

struct wire_scheme {
    uint16_t code;
    const char *name;
    enum wire_key_type key_type;
    const char *digest; /* OpenSSL's name; NULL: the algorithm hashes the message itself */
    bool pss;
    const char *tls13_group; /* OpenSSL's name of the only curve for ECDSA in TLS 1.3, or NULL */
    bool tls13;              /* allowed in a TLS 1.3 CertificateVerify */
    bool tls12;              /* allowed in the signatures of TLS 1.2 */
};

extern const struct wire_scheme wire_schemes[];
extern const size_t wire_scheme_count;

/* NULL if unknown. */
const struct wire_scheme *wire_scheme_find(uint16_t code);

#endif
