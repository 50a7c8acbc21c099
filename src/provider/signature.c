/*
 * Signatures, provider-signature(7): only the one-shot form over a whole message, which is what TLS
 * uses and the only thing that immured signs. What is no TLS SignatureScheme is refused here.
 */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "provider/key.h"
#include "provider/reason.h"
#include "provider/waiter.h"

/* The forms in which a digest's name and a padding may arrive. */
enum digest { DIGEST_NONE, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_OTHER };

static const struct {
    const char *name;
    enum digest digest;
} digest_names[] = {
    {"", DIGEST_NONE},          {"SHA256", DIGEST_SHA256}, {"SHA2-256", DIGEST_SHA256},
    {"SHA-256", DIGEST_SHA256}, {"SHA384", DIGEST_SHA384}, {"SHA2-384", DIGEST_SHA384},
    {"SHA-384", DIGEST_SHA384}, {"SHA512", DIGEST_SHA512}, {"SHA2-512", DIGEST_SHA512},
    {"SHA-512", DIGEST_SHA512},
};

static const size_t digest_sizes[] = {
    [DIGEST_SHA256] = 32, [DIGEST_SHA384] = 48, [DIGEST_SHA512] = 64, [DIGEST_OTHER] = 0};

static const struct {
    enum key_type_index key_type;
    enum digest digest;
    int padding; /* 0 but for RSA */
    enum immure_scheme scheme;
} schemes[] = {
    {KEY_RSA, DIGEST_SHA256, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_RSAE_SHA256},
    {KEY_RSA, DIGEST_SHA384, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_RSAE_SHA384},
    {KEY_RSA, DIGEST_SHA512, RSA_PKCS1_PSS_PADDING, IMMURE_RSA_PSS_RSAE_SHA512},
    {KEY_RSA, DIGEST_SHA256, RSA_PKCS1_PADDING, IMMURE_RSA_PKCS1_SHA256},
    {KEY_RSA, DIGEST_SHA384, RSA_PKCS1_PADDING, IMMURE_RSA_PKCS1_SHA384},
    {KEY_RSA, DIGEST_SHA512, RSA_PKCS1_PADDING, IMMURE_RSA_PKCS1_SHA512},
    {KEY_EC, DIGEST_SHA256, 0, IMMURE_ECDSA_SHA256},
    {KEY_EC, DIGEST_SHA384, 0, IMMURE_ECDSA_SHA384},
    {KEY_EC, DIGEST_SHA512, 0, IMMURE_ECDSA_SHA512},
    {KEY_ED25519, DIGEST_NONE, 0, IMMURE_ED25519},
};

struct signing {
    struct provider *provider;
    struct key *key;
    enum digest digest;
    int padding;
    int salt_length; /* bytes, or one of RSA_PSS_SALTLEN_...; TLS: the digest's */
};

static void *signing_new(void *context, const char *properties)
{
    (void)properties;
    struct signing *signing = calloc(1, sizeof *signing);
    if (signing != NULL)
        signing->provider = context;
    return signing;
}

static void signing_free(void *context)
{
    struct signing *signing = context;
    if (signing == NULL)
        return;
    key_release(signing->key);
    free(signing);
}

static void *signing_dup(void *context)
{
    const struct signing *signing = context;
    struct signing *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *signing;
    if (copy->key != NULL)
        key_share(copy->key);
    return copy;
}

static enum digest digest_of(const char *name)
{
    for (size_t i = 0; i < sizeof digest_names / sizeof digest_names[0]; i++)
        if (strcasecmp(digest_names[i].name, name) == 0)
            return digest_names[i].digest;
    return DIGEST_OTHER;
}

static const struct number_name {
    const char *name;
    int number;
} paddings[] =
    {
        {OSSL_PKEY_RSA_PAD_MODE_PKCSV15, RSA_PKCS1_PADDING},
        {OSSL_PKEY_RSA_PAD_MODE_PSS, RSA_PKCS1_PSS_PADDING},
        {NULL, 0},
},
  salt_lengths[] = {
      {OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, RSA_PSS_SALTLEN_DIGEST},
      {NULL, 0},
};

/* A parameter that arrives as a number, as one of some names, or as a number in text. */
static bool get_number(const OSSL_PARAM *param, const struct number_name *names, int *number)
{
    if (param->data_type != OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_get_int(param, number);
    for (; names->name != NULL; names++) {
        if (strcmp(names->name, param->data) == 0) {
            *number = names->number;
            return true;
        }
    }
    char *end;
    *number = (int)strtol(param->data, &end, 10);
    return end != param->data && *end == '\0';
}

/* Another digest for PSS's mask generation than for the message is in no TLS SignatureScheme. */
static bool same_digest(const struct signing *signing, const OSSL_PARAM *param)
{
    return param->data_type == OSSL_PARAM_UTF8_STRING && digest_of(param->data) == signing->digest;
}

static int signing_set_params(void *context, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    for (const OSSL_PARAM *param = params; param != NULL && param->key != NULL; param++) {
        bool taken = true;
        if (strcmp(param->key, OSSL_SIGNATURE_PARAM_PAD_MODE) == 0)
            taken = get_number(param, paddings, &signing->padding);
        else if (strcmp(param->key, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) == 0)
            taken = get_number(param, salt_lengths, &signing->salt_length);
        else if (strcmp(param->key, OSSL_SIGNATURE_PARAM_DIGEST) == 0 ||
                 strcmp(param->key, OSSL_SIGNATURE_PARAM_MGF1_DIGEST) == 0)
            taken = same_digest(signing, param);
        if (!taken) {
            RAISE(signing->provider, REASON_PARAMETER, "%s", param->key);
            return 0;
        }
    }
    return 1;
}

static const OSSL_PARAM *signing_settable(void *context, void *provider)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    (void)provider;
    return settable;
}

/* libssl calls it twice a handshake, once only to see whether it works. */
static int signing_init(void *context, const char *digest, void *keydata, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    if (keydata != NULL) {
        key_release(signing->key);
        signing->key = key_share(keydata);
    }
    if (signing->key == NULL || signing->key->public == NULL) {
        RAISE(signing->provider, REASON_NO_KEY, NULL);
        return 0;
    }
    signing->digest = digest != NULL ? digest_of(digest) : DIGEST_NONE;
    signing->padding = signing->key->type == KEY_RSA ? RSA_PKCS1_PADDING : 0;
    signing->salt_length = RSA_PSS_SALTLEN_DIGEST;
    return signing_set_params(signing, params);
}

/* 0: there is none. */
static uint16_t scheme_of(const struct signing *signing)
{
    if (signing->padding == RSA_PKCS1_PSS_PADDING &&
        signing->salt_length != RSA_PSS_SALTLEN_DIGEST &&
        (signing->salt_length <= 0 ||
         (size_t)signing->salt_length != digest_sizes[signing->digest]))
        return 0;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (schemes[i].key_type == signing->key->type && schemes[i].digest == signing->digest &&
            schemes[i].padding == signing->padding)
            return (uint16_t)schemes[i].scheme;
    return 0;
}

static int signing_sign(void *context, unsigned char *signature, size_t *length, size_t size,
                        const unsigned char *message, size_t message_length)
{
    struct signing *signing = context;
    if (signing->key == NULL) {
        RAISE(signing->provider, REASON_NO_KEY, NULL);
        return 0;
    }
    size_t longest = (size_t)EVP_PKEY_get_size(signing->key->public);
    if (signature == NULL) {
        *length = longest;
        return 1;
    }
    struct immure_sign_request request = {
        .scheme = scheme_of(signing), .message = message, .message_length = message_length};
    memcpy(request.key_id, signing->key->id, sizeof request.key_id);
    if (request.scheme == 0) {
        RAISE(signing->provider, REASON_SCHEME, NULL);
        return 0;
    }
    if (message_length == 0 || message_length > IMMURE_MESSAGE_MAX) {
        RAISE(signing->provider, REASON_MESSAGE_SIZE, "%zu bytes", message_length);
        return 0;
    }
    *length = size;
    return waiter_sign(signing->provider, &request, signature, length);
}

static const OSSL_DISPATCH signature_functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (provider_function)signing_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (provider_function)signing_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (provider_function)signing_dup},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (provider_function)signing_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (provider_function)signing_sign},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (provider_function)signing_set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (provider_function)signing_settable},
    {0, NULL},
};

const OSSL_ALGORITHM provider_signatures[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=immure", signature_functions,
     "RSA in immured"},
    {"ECDSA", "provider=immure", signature_functions, "ECDSA in immured"},
    {"ED25519:1.3.101.112", "provider=immure", signature_functions, "Ed25519 in immured"},
    {NULL, NULL, NULL, NULL},
};
