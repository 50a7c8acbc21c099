#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include <openssl/core_dispatch.h>

/* The entry point, for OSSL_PROVIDER_add_builtin(). */
OSSL_provider_init_fn provider_init;
/* The same for the library context of certificate.h: it reads public keys, not key references. */
OSSL_provider_init_fn provider_init_for_certificates;

#endif
