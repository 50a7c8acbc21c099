#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include <openssl/core_dispatch.h>

/* The entry point, for OSSL_PROVIDER_add_builtin(). */
OSSL_provider_init_fn provider_init;

#endif
