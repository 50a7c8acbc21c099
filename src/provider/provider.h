/*
 * What one loaded instance of the provider holds, and its tables. OpenSSL calls the functions in
 * the tables; OSSL_PROVIDER(7) and provider-base(7) say how.
 */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include <openssl/core_dispatch.h>
#include <openssl/types.h>
#include <stdbool.h>

#include "provider/service.h"
#include "provider/settings.h"

struct provider {
    const OSSL_CORE_HANDLE *core;
    struct settings settings;
    struct services services;
    bool mldsa; /* libcrypto has ML-DSA */
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

/* Names that more than one table has; those of libcrypto, by which libssl knows the types. */
#define PROVIDER_PROPERTIES "provider=immure"
#define PROVIDER_RSA "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define PROVIDER_RSA_PSS "RSA-PSS:RSASSA-PSS:1.2.840.113549.1.1.10"
#define PROVIDER_EC "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define PROVIDER_ED25519 "ED25519:1.3.101.112"
#define PROVIDER_MLDSA44 "ML-DSA-44:MLDSA44:2.16.840.1.101.3.4.3.17:id-ml-dsa-44"
#define PROVIDER_MLDSA65 "ML-DSA-65:MLDSA65:2.16.840.1.101.3.4.3.18:id-ml-dsa-65"
#define PROVIDER_MLDSA87 "ML-DSA-87:MLDSA87:2.16.840.1.101.3.4.3.19:id-ml-dsa-87"
/* So many rows at the beginning of a table are for a libcrypto that has ML-DSA. */
#define PROVIDER_MLDSA_ROWS 3

extern const OSSL_ALGORITHM provider_keymgmts[];   /* ML-DSA first */
extern const OSSL_ALGORITHM provider_signatures[]; /* ML-DSA first */
extern const OSSL_ALGORITHM provider_decoders[];   /* ML-DSA first */
extern const OSSL_ALGORITHM provider_encoders[];   /* ML-DSA first */
extern const OSSL_ALGORITHM provider_ciphers[];
extern const OSSL_ALGORITHM provider_stores[];

#endif
