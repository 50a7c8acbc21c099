/*
 * Signatures, provider-signature(7): over whole messages, which is what TLS asks for and the only
 * thing that immured signs. What is no TLS SignatureScheme is refused here.
 */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "provider/algorithm.h"
#include "provider/ask.h"
#include "provider/reason.h"

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

struct signing {
    struct provider *provider;
    struct key *key;
    enum digest digest;
    int padding;
    int salt_length;       /* bytes, or one of RSA_PSS_SALTLEN_...; TLS: the digest's */
    struct buffer message; /* so far, where the caller gives it in pieces */
};

static void *signing_new(void *context, const char *properties)
{
    (void)properties;
    struct signing *signing = calloc(1, sizeof *signing);
    if (signing != NULL)
        *signing =
            (struct signing){.provider = context, .message = BUFFER_INIT(IMMURE_MESSAGE_MAX)};
    return signing;
}

static void signing_free(void *context)
{
    struct signing *signing = context;
    if (signing == NULL)
        return;
    key_release(signing->key);
    buffer_release(&signing->message);
    free(signing);
}

static void *signing_dup(void *context)
{
    const struct signing *signing = context;
    struct signing *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *signing;
    copy->message = BUFFER_INIT(IMMURE_MESSAGE_MAX);
    if (copy->key != NULL)
        key_share(copy->key);
    if (buffer_append(&copy->message, buffer_bytes(&signing->message),
                      buffer_length(&signing->message)))
        return copy;
    signing_free(copy);
    return NULL;
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

static int standard_padding(enum key_type_index type)
{
    if (type == KEY_RSA_PSS)
        return RSA_PKCS1_PSS_PADDING;
    return type == KEY_RSA ? RSA_PKCS1_PADDING : 0;
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
    signing->padding = standard_padding(signing->key->type);
    buffer_clear(&signing->message);
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

static int signing_get_params(void *context, OSSL_PARAM params[])
{
    const struct signing *signing = context;
    OSSL_PARAM *algorithm = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);
    if (algorithm == NULL)
        return 1;
    if (signing->key != NULL && algorithm_set_param(algorithm, scheme_of(signing)))
        return 1;
    RAISE(signing->provider, REASON_ALGORITHM, NULL);
    return 0;
}

static const OSSL_PARAM *signing_gettable(void *context, void *provider)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    (void)provider;
    return gettable;
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
    struct ask ask = {.kind = ASK_SIGN,
                      .key = signing->key,
                      .scheme = scheme_of(signing),
                      .input = message,
                      .input_length = message_length,
                      .output = signature,
                      .size = size};
    if (ask.scheme == 0) {
        RAISE(signing->provider, REASON_SCHEME, NULL);
        return 0;
    }
    if (message_length == 0 || message_length > IMMURE_MESSAGE_MAX) {
        RAISE(signing->provider, REASON_MESSAGE_SIZE, "%zu bytes", message_length);
        return 0;
    }
    if (!ask_immured(&ask))
        return 0;
    *length = ask.length;
    return 1;
}

/* Algorithms that hash the message themselves are one-shot, here as in OpenSSL. */
static int signing_update(void *context, const unsigned char *part, size_t length)
{
    struct signing *signing = context;
    if (signing->digest == DIGEST_NONE) {
        RAISE(signing->provider, REASON_ONE_SHOT, NULL);
        return 0;
    }
    if (!buffer_append(&signing->message, part, length)) {
        RAISE(signing->provider, REASON_MESSAGE_SIZE, "more than %d bytes", IMMURE_MESSAGE_MAX);
        return 0;
    }
    return 1;
}

static int signing_final(void *context, unsigned char *signature, size_t *length, size_t size)
{
    struct signing *signing = context;
    return signing_sign(context, signature, length, size, buffer_bytes(&signing->message),
                        buffer_length(&signing->message));
}

/* Who asks for a signature over a digest shall hear why there is none. */
static int signing_init_for_digest(void *context, void *keydata, const OSSL_PARAM params[])
{
    const struct signing *signing = context;
    (void)keydata;
    (void)params;
    RAISE(signing->provider, REASON_DIGEST, NULL);
    return 0;
}

static int signing_sign_digest(void *context, unsigned char *signature, size_t *length, size_t size,
                               const unsigned char *digest, size_t digest_length)
{
    (void)signature;
    (void)length;
    (void)size;
    (void)digest;
    (void)digest_length;
    return signing_init_for_digest(context, NULL, NULL);
}

static const OSSL_DISPATCH signature_functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (provider_function)signing_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (provider_function)signing_free},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (provider_function)signing_dup},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (provider_function)signing_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (provider_function)signing_sign},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (provider_function)signing_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (provider_function)signing_final},
    {OSSL_FUNC_SIGNATURE_SIGN_INIT, (provider_function)signing_init_for_digest},
    {OSSL_FUNC_SIGNATURE_SIGN, (provider_function)signing_sign_digest},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (provider_function)signing_set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (provider_function)signing_settable},
    {OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (provider_function)signing_get_params},
    {OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (provider_function)signing_gettable},
    {0, NULL},
};

const OSSL_ALGORITHM provider_signatures[] = {
    {PROVIDER_MLDSA44, PROVIDER_PROPERTIES, signature_functions, "ML-DSA-44 in immured"},
    {PROVIDER_MLDSA65, PROVIDER_PROPERTIES, signature_functions, "ML-DSA-65 in immured"},
    {PROVIDER_MLDSA87, PROVIDER_PROPERTIES, signature_functions, "ML-DSA-87 in immured"},
    {PROVIDER_RSA, PROVIDER_PROPERTIES, signature_functions, "RSA in immured"},
    {"ECDSA", PROVIDER_PROPERTIES, signature_functions, "ECDSA in immured"},
    {PROVIDER_ED25519, PROVIDER_PROPERTIES, signature_functions, "Ed25519 in immured"},
    {NULL, NULL, NULL, NULL},
};
