#include "storm/unchecked.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

/* There is no state, but the context must not be NULL. */
static void *new_context(void *provider, const char *properties)
{
    static char unused;
    (void)provider;
    (void)properties;
    return &unused;
}

static void free_context(void *context)
{
    (void)context;
}

static int verify_init(void *context, const char *digest, void *key, const OSSL_PARAM params[])
{
    (void)context;
    (void)digest;
    (void)key;
    (void)params;
    return 1;
}

static int verify_update(void *context, const unsigned char *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return 1;
}

static int verify_final(void *context, const unsigned char *signature, size_t length)
{
    (void)context;
    (void)signature;
    (void)length;
    return 1;
}

static int verify(void *context, const unsigned char *signature, size_t signature_length,
                  const unsigned char *data, size_t length)
{
    (void)context;
    (void)signature;
    (void)signature_length;
    (void)data;
    (void)length;
    return 1;
}

static int set_params(void *context, const OSSL_PARAM params[])
{
    (void)context;
    (void)params;
    return 1;
}

/* The parameters that libssl sets for RSASSA-PSS. */
static const OSSL_PARAM *settable_params(void *context, void *provider)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    (void)provider;
    return settable;
}

const OSSL_DISPATCH unchecked_signature[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))new_context},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))free_context},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, (void (*)(void))verify_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, (void (*)(void))verify_update},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, (void (*)(void))verify_final},
    {OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, (void (*)(void))verify},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))settable_params},
    {0, NULL},
};
