#include "wire/scheme.h"

const struct wire_scheme wire_schemes[] = {
    {IMMURE_RSA_PSS_RSAE_SHA256, "rsa_pss_rsae_sha256", WIRE_KEY_RSA, "SHA256", true, NULL, true,
     true},
    {IMMURE_RSA_PSS_RSAE_SHA384, "rsa_pss_rsae_sha384", WIRE_KEY_RSA, "SHA384", true, NULL, true,
     true},
    {IMMURE_RSA_PSS_RSAE_SHA512, "rsa_pss_rsae_sha512", WIRE_KEY_RSA, "SHA512", true, NULL, true,
     true},
    {IMMURE_RSA_PKCS1_SHA256, "rsa_pkcs1_sha256", WIRE_KEY_RSA, "SHA256", false, NULL, false, true},
    {IMMURE_RSA_PKCS1_SHA384, "rsa_pkcs1_sha384", WIRE_KEY_RSA, "SHA384", false, NULL, false, true},
    {IMMURE_RSA_PKCS1_SHA512, "rsa_pkcs1_sha512", WIRE_KEY_RSA, "SHA512", false, NULL, false, true},
    {IMMURE_ECDSA_SHA256, "ecdsa_secp256r1_sha256", WIRE_KEY_EC, "SHA256", false, "P-256", true,
     true},
    {IMMURE_ECDSA_SHA384, "ecdsa_secp384r1_sha384", WIRE_KEY_EC, "SHA384", false, "P-384", true,
     true},
    {IMMURE_ECDSA_SHA512, "ecdsa_secp521r1_sha512", WIRE_KEY_EC, "SHA512", false, "P-521", true,
     true},
    {IMMURE_ED25519, "ed25519", WIRE_KEY_ED25519, NULL, false, NULL, true, true},
    {IMMURE_RSA_PSS_PSS_SHA256, "rsa_pss_pss_sha256", WIRE_KEY_RSA_PSS, "SHA256", true, NULL, true,
     true},
    {IMMURE_RSA_PSS_PSS_SHA384, "rsa_pss_pss_sha384", WIRE_KEY_RSA_PSS, "SHA384", true, NULL, true,
     true},
    {IMMURE_RSA_PSS_PSS_SHA512, "rsa_pss_pss_sha512", WIRE_KEY_RSA_PSS, "SHA512", true, NULL, true,
     true},
    {IMMURE_MLDSA44, "mldsa44", WIRE_KEY_MLDSA44, NULL, false, NULL, true, false},
    {IMMURE_MLDSA65, "mldsa65", WIRE_KEY_MLDSA65, NULL, false, NULL, true, false},
    {IMMURE_MLDSA87, "mldsa87", WIRE_KEY_MLDSA87, NULL, false, NULL, true, false},
};

const size_t wire_scheme_count = sizeof wire_schemes / sizeof wire_schemes[0];

const struct wire_scheme *wire_scheme_find(uint16_t code)
{
    for (size_t i = 0; i < wire_scheme_count; i++)
        if (wire_schemes[i].code == code)
            return &wire_schemes[i];
    return NULL;
}

const char *immure_scheme_name(uint16_t code)
{
    const struct wire_scheme *scheme = wire_scheme_find(code);
    return scheme != NULL ? scheme->name : "unknown";
}
