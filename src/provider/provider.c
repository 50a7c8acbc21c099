#include "provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>

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
    (void)context;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return provider_keymgmts;
    case OSSL_OP_SIGNATURE:
        return provider_signatures;
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

static void take_core_functions(struct provider *provider, const OSSL_DISPATCH *in)
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
        default:
            break;
        }
    }
}

int provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                  void **context)
{
    struct provider *provider = calloc(1, sizeof *provider);
    if (provider == NULL)
        return 0;
    provider->core = core;
    take_core_functions(provider, in);
    provider->context = OSSL_LIB_CTX_new_from_dispatch(core, in);
    if (provider->context == NULL || provider->new_error == NULL ||
        provider->set_error_debug == NULL || provider->vset_error == NULL) {
        provider_teardown(provider);
        return 0;
    }
    *out = provider_functions;
    *context = provider;
    return 1;
}
