#include "provider/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
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
