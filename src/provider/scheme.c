#include "provider/scheme.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <string.h>
#include <strings.h>

#define DIGEST_NAME_SIZE 32

/* The spellings of a digest's name; digest_name() returns the first. */
static const struct {
    const char *name;
    enum digest digest;
} digest_names[] = {
    {"SHA256", DIGEST_SHA256}, {"SHA2-256", DIGEST_SHA256}, {"SHA-256", DIGEST_SHA256},
    {"SHA384", DIGEST_SHA384}, {"SHA2-384", DIGEST_SHA384}, {"SHA-384", DIGEST_SHA384},
    {"SHA512", DIGEST_SHA512}, {"SHA2-512", DIGEST_SHA512}, {"SHA-512", DIGEST_SHA512},
};
#define DIGEST_NAMES (sizeof digest_names / sizeof digest_names[0])

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

enum digest digest_of(const char *name)
{
    if (name == NULL || name[0] == '\0')
        return DIGEST_NONE;
    for (size_t i = 0; i < DIGEST_NAMES; i++)
        if (strcasecmp(digest_names[i].name, name) == 0)
            return digest_names[i].digest;
    return DIGEST_OTHER;
}

const char *digest_name(enum digest digest)
{
    for (size_t i = 0; i < DIGEST_NAMES; i++)
        if (digest_names[i].digest == digest)
            return digest_names[i].name;
    return NULL;
}

/* RFC 4055, section 3.1: the default digest of a restricted key is SHA-1, and OpenSSL omits
 * parameters that have their default. It never omits the salt length, which shows that a key is
 * restricted. */
static enum digest limit_of(const EVP_PKEY *public, const char *parameter)
{
    char name[DIGEST_NAME_SIZE];
    bool named = EVP_PKEY_get_utf8_string_param(public, parameter, name, sizeof name, NULL) == 1;
    return named ? digest_of(name) : DIGEST_OTHER;
}

struct pss_limits pss_limits_of(const EVP_PKEY *public)
{
    struct pss_limits limits = {.digest = DIGEST_NONE};
    if (EVP_PKEY_get_int_param(public, OSSL_PKEY_PARAM_RSA_PSS_SALTLEN, &limits.salt_least) != 1)
        return limits;
    limits.digest = limit_of(public, OSSL_PKEY_PARAM_RSA_DIGEST);
    if (limit_of(public, OSSL_PKEY_PARAM_RSA_MGF1_DIGEST) != limits.digest)
        limits.digest = DIGEST_OTHER;
    return limits;
}

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
