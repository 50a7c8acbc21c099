#include "provider/scheme.h"

#include <openssl/rsa.h>

static const int digest_sizes[] = {
    [DIGEST_SHA256] = 32, [DIGEST_SHA384] = 48, [DIGEST_SHA512] = 64, [DIGEST_OTHER] = 0};

static const struct {
    enum key_type_index key_type;
    enum digest digest;
    int padding; /* 0 except for RSA */
    enum immure_scheme scheme;
} schemes[] = {
    {KEY_RSA, DIGEST_SHA256, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_RSAE_SHA256},
    {KEY_RSA, DIGEST_SHA384, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_RSAE_SHA384},
    {KEY_RSA, DIGEST_SHA512, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_RSAE_SHA512},
    {KEY_RSA, DIGEST_SHA256, RSA_PKCS1_PADDING, IMMURE_RSA_PKCS1_SHA256},
    {KEY_RSA, DIGEST_SHA384, RSA_PKCS1_PADDING, IMMURE_RSA_PKCS1_SHA384},
    {KEY_RSA, DIGEST_SHA512, RSA_PKCS1_PADDING, IMMURE_RSA_PKCS1_SHA512},
    {KEY_RSA_PSS, DIGEST_SHA256, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_PSS_SHA256},
    {KEY_RSA_PSS, DIGEST_SHA384, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_PSS_SHA384},
    {KEY_RSA_PSS, DIGEST_SHA512, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_PSS_SHA512},
    {KEY_EC, DIGEST_SHA256, 0, IMMURE_ECDSA_SHA256},
    {KEY_EC, DIGEST_SHA384, 0, IMMURE_ECDSA_SHA384},
    {KEY_EC, DIGEST_SHA512, 0, IMMURE_ECDSA_SHA512},
    {KEY_ED25519, DIGEST_NONE, 0, IMMURE_ED25519},
    {KEY_MLDSA44, DIGEST_NONE, 0, IMMURE_MLDSA44},
    {KEY_MLDSA65, DIGEST_NONE, 0, IMMURE_MLDSA65},
    {KEY_MLDSA87, DIGEST_NONE, 0, IMMURE_MLDSA87},
};
#define SCHEMES (sizeof schemes / sizeof schemes[0])

/* In TLS the salt is as long as the digest (RFC 8446, section 4.2.3). */
static bool limits_allow(const struct pss_limits *limits, enum digest digest)
{
    return limits->digest == DIGEST_NONE ||
           (limits->digest == digest && limits->salt_least <= digest_sizes[digest]);
}

bool digest_has_scheme(const struct provider_key *key, enum digest digest)
{
    for (size_t i = 0; i < SCHEMES; i++)
        if (schemes[i].key_type == key->type && schemes[i].digest == digest)
            return limits_allow(&key->limits, digest);
    return false;
}

uint16_t scheme_of(const struct provider_key *key, enum digest digest, int padding, int salt_length)
{
    if (!digest_has_scheme(key, digest) ||
        (padding == RSA_PKCS1_PSS_PADDING && salt_length != RSA_PSS_SALTLEN_DIGEST &&
         salt_length != digest_sizes[digest]))
        return 0;
    for (size_t i = 0; i < SCHEMES; i++)
        if (schemes[i].key_type == key->type && schemes[i].digest == digest &&
            schemes[i].padding == padding)
            return (uint16_t)schemes[i].scheme;
    return 0;
}
