/*
 * The state of one loaded instance of the provider, and its dispatch tables. OSSL_PROVIDER(7) and
 * provider-base(7) say how OpenSSL calls the functions in them.
 */
#ifndef PROVIDER_INSTANCE_H
#define PROVIDER_INSTANCE_H

#include <openssl/core_dispatch.h>
#include <openssl/types.h>
#include <stdbool.h>

#include "provider/service.h"
#include "provider/settings.h"
#include "provider/spki.h"

struct provider {
    const OSSL_CORE_HANDLE *core;
    struct settings settings;
    struct services services;
    bool mldsa; /* libcrypto has ML-DSA */
    /* A library context of the provider's own, which holds the public halves of keys, so that the
     * application's configuration does not affect them. It has the default provider only. */
    OSSL_LIB_CTX *context;
    struct spki_reader spki; /* in that context */
    bool for_certificates;   /* see certificate.h */
    OSSL_FUNC_core_new_error_fn *new_error;
    OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
    OSSL_FUNC_core_vset_error_fn *vset_error;
};

/* The type that every function in a dispatch table is cast to. */
typedef void (*provider_function)(void);

/* Names for more than one table, the same as libcrypto's, by which libssl knows the types. */
#define PROVIDER_PROPERTIES "provider=immure"
#define PROVIDER_RSA "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define PROVIDER_RSA_PSS "RSA-PSS:RSASSA-PSS:1.2.840.113549.1.1.10"
#define PROVIDER_EC "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define PROVIDER_ED25519 "ED25519:1.3.101.112"
#define PROVIDER_MLDSA44 "ML-DSA-44:MLDSA44:2.16.840.1.101.3.4.3.17:id-ml-dsa-44"
#define PROVIDER_MLDSA65 "ML-DSA-65:MLDSA65:2.16.840.1.101.3.4.3.18:id-ml-dsa-65"
#define PROVIDER_MLDSA87 "ML-DSA-87:MLDSA87:2.16.840.1.101.3.4.3.19:id-ml-dsa-87"
/* The first rows of a table, which are skipped if libcrypto lacks ML-DSA. */
#define PROVIDER_MLDSA_ROWS 3

extern const OSSL_ALGORITHM provider_keymgmts[];      /* ML-DSA first */
extern const OSSL_ALGORITHM provider_signatures[];    /* ML-DSA first */
extern const OSSL_ALGORITHM provider_decoders[];      /* ML-DSA first */
extern const OSSL_ALGORITHM provider_spki_decoders[]; /* ML-DSA first */
extern const OSSL_ALGORITHM provider_encoders[];      /* ML-DSA first */
extern const OSSL_ALGORITHM provider_ciphers[];
extern const OSSL_ALGORITHM provider_stores[];

#endif
