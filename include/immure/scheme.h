/*
 * TLS SignatureScheme code points (RFC 8446, section 4.2.3; RFC 8422 for TLS 1.2), which name all
 * signature algorithms on the wire and in the library.
 */
#ifndef IMMURE_SCHEME_H
#define IMMURE_SCHEME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum immure_scheme {
    IMMURE_RSA_PKCS1_SHA256 = 0x0401,
    IMMURE_RSA_PKCS1_SHA384 = 0x0501,
    IMMURE_RSA_PKCS1_SHA512 = 0x0601,
    IMMURE_ECDSA_SHA256 = 0x0403, /* TLS 1.3: with P-256 only */
    IMMURE_ECDSA_SHA384 = 0x0503, /* TLS 1.3: with P-384 only */
    IMMURE_ECDSA_SHA512 = 0x0603, /* TLS 1.3: with P-521 only */
    IMMURE_RSA_PSS_RSAE_SHA256 = 0x0804,
    IMMURE_RSA_PSS_RSAE_SHA384 = 0x0805,
    IMMURE_RSA_PSS_RSAE_SHA512 = 0x0806,
    IMMURE_ED25519 = 0x0807,
    IMMURE_RSA_PSS_PSS_SHA256 = 0x0809, /* with keys of type RSA-PSS, like the next two */
    IMMURE_RSA_PSS_PSS_SHA384 = 0x080a,
    IMMURE_RSA_PSS_PSS_SHA512 = 0x080b,
    IMMURE_MLDSA44 = 0x0904, /* draft-ietf-tls-mldsa; TLS 1.3 only */
    IMMURE_MLDSA65 = 0x0905,
    IMMURE_MLDSA87 = 0x0906
};

/* The name in the IANA registry ("rsa_pss_rsae_sha256"), or "unknown". Any thread. */
const char *immure_scheme_name(uint16_t scheme);

#ifdef __cplusplus
}
#endif

#endif
