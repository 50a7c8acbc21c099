/*
 * Decryption, provider-asym_cipher(7), for TLS's RSA key exchange only. immured removes the padding
 * and answers every ciphertext with a premaster secret, so nothing here can tell a good ciphertext
 * from a bad one.
 */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "provider/ask.h"
#include "provider/reason.h"

struct decryption {
    struct provider *provider;
    struct provider_key *key;
    int padding;
    unsigned client_version;
};

static void *decryption_new(void *context)
{
    struct decryption *decryption = calloc(1, sizeof *decryption);
    if (decryption != NULL)
        decryption->provider = context;
    else
        RAISE((struct provider *)context, REASON_MEMORY, NULL);
    return decryption;
}

static void decryption_free(void *context)
{
    struct decryption *decryption = context;
    if (decryption == NULL)
        return;
    key_release(decryption->key);
    free(decryption);
}

static void *decryption_dup(void *context)
{
    const struct decryption *decryption = context;
    struct decryption *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        RAISE(decryption->provider, REASON_MEMORY, NULL);
        return NULL;
    }
    *copy = *decryption;
    if (copy->key != NULL)
        key_share(copy->key);
    return copy;
}

/*
 * The negotiated version is ignored. It matters only with SSL_OP_TLS_ROLLBACK_BUG, for broken
 * clients that send it in place of the version that they offered.
 */
static int decryption_set_params(void *context, const OSSL_PARAM params[])
{
    struct decryption *decryption = context;
    const OSSL_PARAM *padding = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);
    const OSSL_PARAM *version =
        OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION);
    if (padding != NULL && (!OSSL_PARAM_get_int(padding, &decryption->padding) ||
                            decryption->padding != RSA_PKCS1_WITH_TLS_PADDING)) {
        RAISE(decryption->provider, REASON_PADDING, NULL);
        return 0;
    }
    return version == NULL || OSSL_PARAM_get_uint(version, &decryption->client_version);
}

static const OSSL_PARAM *decryption_settable(void *context, void *provider)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_int(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, NULL),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, NULL),
        OSSL_PARAM_END,
    };
    (void)context;
    (void)provider;
    return settable;
}

static int decryption_init(void *context, void *keydata, const OSSL_PARAM params[])
{
    struct decryption *decryption = context;
    struct provider_key *key = keydata;
    if (key == NULL || key->public == NULL) {
        RAISE(decryption->provider, REASON_NO_KEY, NULL);
        return 0;
    }
    key_release(decryption->key);
    decryption->key = key_share(key);
    decryption->padding = 0;
    decryption->client_version = 0;
    return decryption_set_params(decryption, params);
}

static int decryption_run(void *context, unsigned char *output, size_t *length, size_t size,
                          const unsigned char *ciphertext, size_t ciphertext_length)
{
    struct decryption *decryption = context;
    if (decryption->key == NULL || decryption->padding != RSA_PKCS1_WITH_TLS_PADDING) {
        RAISE(decryption->provider, decryption->key == NULL ? REASON_NO_KEY : REASON_PADDING, NULL);
        return 0;
    }
    if (output == NULL) {
        *length = IMMURE_PREMASTER_SIZE;
        return 1;
    }
    struct question question = {.key = decryption->key,
                                .request = {.operation = IMMURE_DECRYPT,
                                            .client_version = (uint16_t)decryption->client_version,
                                            .input = ciphertext,
                                            .input_length = ciphertext_length},
                                .output = output,
                                .size = size};
    if (!ask_immured(&question))
        return 0;
    *length = question.length;
    return 1;
}

static const OSSL_DISPATCH cipher_functions[] = {
    {OSSL_FUNC_ASYM_CIPHER_NEWCTX, (provider_function)decryption_new},
    {OSSL_FUNC_ASYM_CIPHER_FREECTX, (provider_function)decryption_free},
    {OSSL_FUNC_ASYM_CIPHER_DUPCTX, (provider_function)decryption_dup},
    {OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, (provider_function)decryption_init},
    {OSSL_FUNC_ASYM_CIPHER_DECRYPT, (provider_function)decryption_run},
    {OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, (provider_function)decryption_set_params},
    {OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, (provider_function)decryption_settable},
    {0, NULL},
};

const OSSL_ALGORITHM provider_ciphers[] = {
    {PROVIDER_RSA, PROVIDER_PROPERTIES, cipher_functions, "TLS's RSA key exchange in immured"},
    {NULL, NULL, NULL, NULL},
};
