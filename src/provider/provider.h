/*
 * What one loaded instance of the provider holds, and its tables. OpenSSL calls the functions in
 * the tables; OSSL_PROVIDER(7) and provider-base(7) say how.
 */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include <openssl/core_dispatch.h>
#include <openssl/types.h>

struct provider {
    const OSSL_CORE_HANDLE *core;
    /* Of its own: the public halves of keys live here, out of reach of the application's
     * configuration. `default` is in it, because nothing else was loaded. */
    OSSL_LIB_CTX *context;
    OSSL_FUNC_core_new_error_fn *new_error;
    OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
    OSSL_FUNC_core_vset_error_fn *vset_error;
};

/* What every function of a dispatch table is cast to. */
typedef void (*provider_function)(void);

/* The entry point, as OSSL_PROVIDER_add_builtin() takes it. */
OSSL_provider_init_fn provider_init;

extern const OSSL_ALGORITHM provider_keymgmts[];
extern const OSSL_ALGORITHM provider_signatures[];

#endif
