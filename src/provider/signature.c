/*
 * Signatures, provider-signature(7), over whole messages, which is what TLS asks for and the only
 * thing that immured signs. Anything that is not a TLS SignatureScheme is refused by the first
 * call, so that libssl proceeds to the next scheme that its peer accepts. OpenSSL's own
 * implementation does everything that needs only the public key.
 */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "provider/ask.h"
#include "provider/reason.h"
#include "provider/scheme.h"
#include "provider/verification.h"

struct signing {
    struct provider *provider;
    struct provider_key *key;
    enum digest digest;
    int padding;
    int salt_length;                  /* bytes, or RSA_PSS_SALTLEN_DIGEST */
    struct buffer message;            /* collects a message that the caller passes in pieces */
    struct verification verification; /* not begun if the context signs */
};

static void *signing_new(void *context, const char *properties)
{
    (void)properties;
    struct signing *signing = calloc(1, sizeof *signing);
    if (signing != NULL)
        *signing =
            (struct signing){.provider = context, .message = BUFFER_INIT(IMMURE_MESSAGE_MAX)};
    else
        RAISE((struct provider *)context, REASON_MEMORY, NULL);
    return signing;
}

static void signing_free(void *context)
{
    struct signing *signing = context;
    if (signing == NULL)
        return;
    key_release(signing->key);
    buffer_release(&signing->message);
    verification_end(&signing->verification);
    free(signing);
}

static void *signing_dup(void *context)
{
    const struct signing *signing = context;
    struct signing *copy = malloc(sizeof *copy);
    if (copy != NULL) {
        *copy = *signing;
        copy->message = BUFFER_INIT(IMMURE_MESSAGE_MAX);
        if (copy->key != NULL)
            key_share(copy->key);
        if (verification_copy(&copy->verification, &signing->verification) &&
            buffer_append(&copy->message, buffer_bytes(&signing->message),
                          buffer_length(&signing->message)))
            return copy;
    }
    signing_free(copy);
    RAISE(signing->provider, REASON_MEMORY, NULL);
    return NULL;
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

/* Reads a parameter that is a number, one of `names`, or a number in text. */
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

/* No TLS SignatureScheme uses different digests for PSS's mask generation and for the message. */
static bool same_digest(const struct signing *signing, const OSSL_PARAM *param)
{
    return param->data_type == OSSL_PARAM_UTF8_STRING && digest_of(param->data) == signing->digest;
}

/* Accepts only values that lead to a TLS SignatureScheme, in whatever order they are set. */
static bool set_param(struct signing *signing, const OSSL_PARAM *param)
{
    int number;
    if (strcmp(param->key, OSSL_SIGNATURE_PARAM_PAD_MODE) == 0) {
        if (!get_number(param, paddings, &number) ||
            scheme_of(signing->key, signing->digest, number, RSA_PSS_SALTLEN_DIGEST) == 0)
            return false;
        signing->padding = number;
        return true;
    }
    if (strcmp(param->key, OSSL_SIGNATURE_PARAM_PSS_SALTLEN) == 0) {
        if (!get_number(param, salt_lengths, &number) ||
            scheme_of(signing->key, signing->digest, RSA_PKCS1_PSS_PADDING, number) == 0)
            return false;
        signing->salt_length = number;
        return true;
    }
    if (strcmp(param->key, OSSL_SIGNATURE_PARAM_DIGEST) == 0 ||
        strcmp(param->key, OSSL_SIGNATURE_PARAM_MGF1_DIGEST) == 0)
        return same_digest(signing, param);
    /* Property queries for digests do not matter, because immured hashes the message. */
    return strcmp(param->key, OSSL_SIGNATURE_PARAM_PROPERTIES) == 0 ||
           strcmp(param->key, OSSL_SIGNATURE_PARAM_MGF1_PROPERTIES) == 0;
}

/* Unknown parameters are refused, not ignored, because they might change the signature (a context
 * string, for instance). */
static int signing_set_params(void *context, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    if (signing->verification.context != NULL)
        return EVP_PKEY_CTX_set_params(signing->verification.context, params);
    for (const OSSL_PARAM *param = params; param != NULL && param->key != NULL; param++) {
        if (signing->key == NULL || !set_param(signing, param)) {
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
    const struct signing *signing = context;
    (void)provider;
    return signing != NULL && signing->verification.context != NULL
               ? EVP_PKEY_CTX_settable_params(signing->verification.context)
               : settable;
}

static int standard_padding(enum key_type_index type)
{
    if (type == KEY_RSA_PSS)
        return RSA_PKCS1_PSS_PADDING;
    return type == KEY_RSA ? RSA_PKCS1_PADDING : 0;
}

/* Resets the context, which may have served another operation before. */
static bool take_key(struct signing *signing, void *keydata)
{
    if (keydata != NULL) {
        key_release(signing->key);
        signing->key = key_share(keydata);
    }
    buffer_clear(&signing->message);
    verification_end(&signing->verification);
    if (signing->key != NULL && signing->key->public != NULL)
        return true;
    RAISE(signing->provider, REASON_NO_KEY, NULL);
    return false;
}

/* libssl calls this twice per handshake, the first time only to see whether the scheme works. */
static int signing_init(void *context, const char *digest, void *keydata, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    if (!take_key(signing, keydata))
        return 0;
    signing->digest = digest_of(digest);
    signing->padding = standard_padding(signing->key->type);
    signing->salt_length = RSA_PSS_SALTLEN_DIGEST;
    if (!digest_has_scheme(signing->key, signing->digest)) {
        RAISE(signing->provider, REASON_SCHEME, "%s", digest != NULL ? digest : "no digest");
        return 0;
    }
    return signing_set_params(signing, params);
}

/* Starts a verification context with the same settings, to read parameters from. */
static bool begin_twin(struct verification *twin, const struct signing *signing)
{
    int padding = signing->padding, salt_length = signing->salt_length;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PAD_MODE, &padding),
        OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, &salt_length),
        OSSL_PARAM_construct_end(),
    };
    if (padding == 0)
        params[0] = params[2];
    else if (padding != RSA_PKCS1_PSS_PADDING)
        params[1] = params[2];
    return verification_begin(twin, signing->key, digest_name(signing->digest), params);
}

/* OpenSSL's own implementation ignores parameters that it does not know, and the caller would take
 * the old value of its variable for an answer. */
static bool knows_all(EVP_PKEY_CTX *context, const OSSL_PARAM params[])
{
    const OSSL_PARAM *gettable = EVP_PKEY_CTX_gettable_params(context);
    for (; params->key != NULL; params++)
        if (gettable == NULL || OSSL_PARAM_locate_const(gettable, params->key) == NULL)
            return false;
    return true;
}

static int signing_get_params(void *context, OSSL_PARAM params[])
{
    struct signing *signing = context;
    struct verification twin = {.context = NULL};
    EVP_PKEY_CTX *asked = signing->verification.context;
    int got = 0;
    if (params == NULL)
        return 1;
    if (asked == NULL && signing->key != NULL && begin_twin(&twin, signing))
        asked = twin.context;
    if (asked != NULL && knows_all(asked, params))
        got = EVP_PKEY_CTX_get_params(asked, params);
    if (got != 1)
        RAISE(signing->provider, REASON_UNKNOWN_PARAMETER, "%s",
              params->key != NULL ? params->key : "");
    verification_end(&twin);
    return got;
}

static const OSSL_PARAM *signing_gettable(void *context, void *provider)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_END,
    };
    const struct signing *signing = context;
    (void)provider;
    return signing != NULL && signing->verification.context != NULL
               ? EVP_PKEY_CTX_gettable_params(signing->verification.context)
               : gettable;
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
    struct question question = {
        .key = signing->key,
        .request = {.operation = IMMURE_SIGN,
                    .scheme = scheme_of(signing->key, signing->digest, signing->padding,
                                        signing->salt_length),
                    .input = message,
                    .input_length = message_length},
        .output = signature,
        .size = size};
    if (question.request.scheme == 0) {
        RAISE(signing->provider, REASON_SCHEME, NULL);
        return 0;
    }
    if (message_length == 0 || message_length > IMMURE_MESSAGE_MAX) {
        RAISE(signing->provider, REASON_MESSAGE_SIZE, "%zu bytes", message_length);
        return 0;
    }
    if (!ask_immured(&question))
        return 0;
    *length = question.length;
    return 1;
}

/* Algorithms without a separate digest are one-shot, as in OpenSSL. */
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

/* Signing a digest always fails. These functions exist to give a clear error. */
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

static int verifying_init(void *context, const char *digest, void *keydata,
                          const OSSL_PARAM params[])
{
    struct signing *signing = context;
    return take_key(signing, keydata) &&
           verification_begin(&signing->verification, signing->key, digest, params);
}

static int verifying_verify(void *context, const unsigned char *signature, size_t length,
                            const unsigned char *message, size_t message_length)
{
    struct signing *signing = context;
    return EVP_DigestVerify(signing->verification.message, signature, length, message,
                            message_length);
}

static int verifying_update(void *context, const unsigned char *part, size_t length)
{
    struct signing *signing = context;
    return EVP_DigestVerifyUpdate(signing->verification.message, part, length);
}

static int verifying_final(void *context, const unsigned char *signature, size_t length)
{
    struct signing *signing = context;
    return EVP_DigestVerifyFinal(signing->verification.message, signature, length);
}

static int verifying_init_for_digest(void *context, void *keydata, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    return take_key(signing, keydata) &&
           verification_begin_digest(&signing->verification, signing->key, EVP_PKEY_verify_init_ex,
                                     params);
}

static int verifying_verify_digest(void *context, const unsigned char *signature, size_t length,
                                   const unsigned char *digest, size_t digest_length)
{
    struct signing *signing = context;
    return EVP_PKEY_verify(signing->verification.context, signature, length, digest, digest_length);
}

static int recovering_init(void *context, void *keydata, const OSSL_PARAM params[])
{
    struct signing *signing = context;
    return take_key(signing, keydata) &&
           verification_begin_digest(&signing->verification, signing->key,
                                     EVP_PKEY_verify_recover_init_ex, params);
}

static int recovering_recover(void *context, unsigned char *digest, size_t *length, size_t size,
                              const unsigned char *signature, size_t signature_length)
{
    struct signing *signing = context;
    if (digest != NULL)
        *length = size;
    return EVP_PKEY_verify_recover(signing->verification.context, digest, length, signature,
                                   signature_length);
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
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (provider_function)verifying_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, (provider_function)verifying_verify},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, (provider_function)verifying_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, (provider_function)verifying_final},
    {OSSL_FUNC_SIGNATURE_VERIFY_INIT, (provider_function)verifying_init_for_digest},
    {OSSL_FUNC_SIGNATURE_VERIFY, (provider_function)verifying_verify_digest},
    {OSSL_FUNC_SIGNATURE_VERIFY_RECOVER_INIT, (provider_function)recovering_init},
    {OSSL_FUNC_SIGNATURE_VERIFY_RECOVER, (provider_function)recovering_recover},
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
