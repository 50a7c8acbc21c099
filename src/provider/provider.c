#include "provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>

#include "provider/instance.h"
#include "provider/reason.h"

static const OSSL_PARAM *provider_gettable(void *context)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
        OSSL_PARAM_END,
    };
    (void)context;
    return gettable;
}

static int set_text(OSSL_PARAM params[], const char *name, const char *text)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return param == NULL || OSSL_PARAM_set_utf8_ptr(param, text);
}

static int provider_get_params(void *context, OSSL_PARAM params[])
{
    (void)context;
    OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
    return set_text(params, OSSL_PROV_PARAM_NAME, "immure") &&
           set_text(params, OSSL_PROV_PARAM_VERSION, IMMURE_VERSION) &&
           set_text(params, OSSL_PROV_PARAM_BUILDINFO, IMMURE_VERSION) &&
           (status == NULL || OSSL_PARAM_set_int(status, 1));
}

static const OSSL_ALGORITHM *provider_query(void *context, int operation, int *no_cache)
{
    const struct provider *provider = context;
    size_t first = provider->mldsa ? 0 : PROVIDER_MLDSA_ROWS;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return provider_keymgmts + first;
    case OSSL_OP_SIGNATURE:
        return provider_signatures + first;
    case OSSL_OP_ASYM_CIPHER:
        return provider_ciphers;
    case OSSL_OP_DECODER:
        return (provider->for_certificates ? provider_spki_decoders : provider_decoders) + first;
    case OSSL_OP_ENCODER:
        return provider_encoders + first;
    case OSSL_OP_STORE:
        return provider_stores;
    default:
        return NULL;
    }
}

static const OSSL_ITEM *provider_reasons(void *context)
{
    (void)context;
    return reason_strings;
}

static void provider_teardown(void *context)
{
    struct provider *provider = context;
    services_free(&provider->services);
    spki_reader_free(&provider->spki);
    settings_free(&provider->settings);
    OSSL_LIB_CTX_free(provider->context);
    free(provider);
}

static const OSSL_DISPATCH provider_functions[] = {
    {OSSL_FUNC_PROVIDER_TEARDOWN, (provider_function)provider_teardown},
    {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (provider_function)provider_gettable},
    {OSSL_FUNC_PROVIDER_GET_PARAMS, (provider_function)provider_get_params},
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (provider_function)provider_query},
    {OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, (provider_function)provider_reasons},
    {0, NULL},
};

/* The core functions that only the initialisation needs. */
struct core_functions {
    OSSL_FUNC_core_get_params_fn *get_params;
    OSSL_FUNC_core_get_libctx_fn *get_context;
};

static void take_core_functions(struct provider *provider, const OSSL_DISPATCH *in,
                                struct core_functions *functions)
{
    for (; in->function_id != 0; in++) {
        switch (in->function_id) {
        case OSSL_FUNC_CORE_NEW_ERROR:
            provider->new_error = OSSL_FUNC_core_new_error(in);
            break;
        case OSSL_FUNC_CORE_SET_ERROR_DEBUG:
            provider->set_error_debug = OSSL_FUNC_core_set_error_debug(in);
            break;
        case OSSL_FUNC_CORE_VSET_ERROR:
            provider->vset_error = OSSL_FUNC_core_vset_error(in);
            break;
        case OSSL_FUNC_CORE_GET_PARAMS:
            functions->get_params = OSSL_FUNC_core_get_params(in);
            break;
        case OSSL_FUNC_CORE_GET_LIBCTX:
            functions->get_context = OSSL_FUNC_core_get_libctx(in);
            break;
        default:
            break;
        }
    }
}

/* Whether the application uses the libcrypto that this code is linked with. A program may contain a
 * second one. */
static bool same_libcrypto(const OSSL_DISPATCH *in)
{
    for (; in->function_id != 0; in++)
        if (in->function_id == OSSL_FUNC_CRYPTO_MALLOC)
            return in->function == (provider_function)CRYPTO_malloc;
    return false;
}

static int count_provider(OSSL_PROVIDER *active, void *count)
{
    (void)active;
    ++*(size_t *)count;
    return 1;
}

/*
 * If this provider were loaded first, or alone, OpenSSL would ask it for things that it lacks: file
 * access, ephemeral keys. Our provider is not in the application's list yet, so activating
 * `default` now puts it first.
 */
static void activate_default(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                             OSSL_FUNC_core_get_libctx_fn *get_context)
{
    if (get_context == NULL || !same_libcrypto(in))
        return;
    OSSL_LIB_CTX *application = (OSSL_LIB_CTX *)get_context(core);
    size_t active = 0;
    OSSL_PROVIDER_do_all(application, count_provider, &active);
    if (active == 0)
        OSSL_PROVIDER_load(application, "default");
}

static bool has_mldsa(OSSL_LIB_CTX *context)
{
    ERR_set_mark();
    EVP_KEYMGMT *keymgmt = EVP_KEYMGMT_fetch(context, "ML-DSA-65", NULL);
    EVP_KEYMGMT_free(keymgmt);
    ERR_pop_to_mark();
    return keymgmt != NULL;
}

static bool prepare(struct provider *provider, const OSSL_DISPATCH *in)
{
    struct core_functions functions = {NULL, NULL};
    take_core_functions(provider, in, &functions);
    provider->context = OSSL_LIB_CTX_new_from_dispatch(provider->core, in);
    spki_reader_init(&provider->spki, provider->context);
    if (provider->context == NULL || provider->new_error == NULL ||
        provider->set_error_debug == NULL || provider->vset_error == NULL)
        return false;
    activate_default(provider->core, in, functions.get_context);
    provider->mldsa = has_mldsa(provider->context);
    settings_read(&provider->settings, provider->core, functions.get_params);
    return true;
}

static int init(bool for_certificates, const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                const OSSL_DISPATCH **out, void **context)
{
    struct provider *provider = calloc(1, sizeof *provider);
    if (provider == NULL)
        return 0;
    provider->core = core;
    provider->for_certificates = for_certificates;
    if (!prepare(provider, in)) {
        provider_teardown(provider);
        return 0;
    }
    *out = provider_functions;
    *context = provider;
    return 1;
}

int provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                  void **context)
{
    return init(false, core, in, out, context);
}

int provider_init_for_certificates(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                                   const OSSL_DISPATCH **out, void **context)
{
    return init(true, core, in, out, context);
}
