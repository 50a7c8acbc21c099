/*
 * Key management, provider-keymgmt(7). The public half answers OpenSSL's questions about a key. The
 * private half is reported as present, and is never exported.
 */
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "provider/key.h"
#include "provider/reason.h"

static void keymgmt_free(void *keydata)
{
    key_release(keydata);
}

static void *keymgmt_dup(const void *keydata, int selection)
{
    (void)selection;
    return key_share((struct provider_key *)keydata);
}

/* Takes the key that a decoder or a store has made, see key_hand_over(). */
static void *keymgmt_load(const void *reference, size_t size)
{
    struct provider_key **place = (struct provider_key **)reference;
    if (size != sizeof *place)
        return NULL;
    struct provider_key *key = *place;
    *place = NULL;
    return key;
}

/* Says that there is a private key too, because libssl would refuse the key otherwise. */
static int keymgmt_has(const void *keydata, int selection)
{
    const struct provider_key *key = keydata;
    (void)selection;
    return key != NULL && key->public != NULL;
}

static int keymgmt_match(const void *keydata1, const void *keydata2, int selection)
{
    const struct provider_key *key1 = keydata1, *key2 = keydata2;
    if (key1->public == NULL || key2->public == NULL)
        return 0;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0)
        return EVP_PKEY_eq(key1->public, key2->public) == 1;
    if (key1->type != KEY_EC)
        return 1;
    return EVP_PKEY_parameters_eq(key1->public, key2->public) == 1;
}

static bool is_filled(const struct provider_key *key)
{
    if (key->public == NULL)
        RAISE(key->provider, REASON_NO_KEY, NULL);
    return key->public != NULL;
}

static int keymgmt_get_params(void *keydata, OSSL_PARAM params[])
{
    const struct provider_key *key = keydata;
    return is_filled(key) && EVP_PKEY_get_params(key->public, params);
}

/* Refuses private keys: the import would keep the public half only, and the key would pass for one
 * in immured. */
static int keymgmt_import(void *keydata, int selection, const OSSL_PARAM params[])
{
    const struct provider_key *key = keydata;
    if (OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) != NULL ||
        OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_D) != NULL) {
        RAISE(key->provider, REASON_NOT_OURS, NULL);
        return 0;
    }
    const OSSL_PARAM *spki = OSSL_PARAM_locate_const(params, KEY_PARAM_SPKI);
    if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0) {
        if (spki == NULL)
            return key_fill_params(keydata, params);
        if (spki->data_type == OSSL_PARAM_OCTET_STRING)
            return key_fill_spki(keydata, spki->data, spki->data_size);
    }
    RAISE(key->provider, REASON_PUBLIC_KEY, "%s", key_types[key->type].name);
    return 0;
}

/* An RSA key is exported with its modulus even if only parameters (those of RSA-PSS) are selected,
 * because libcrypto's text encoder reads the modulus in any case. */
static int keymgmt_export(void *keydata, int selection, OSSL_CALLBACK *callback, void *arg)
{
    const struct provider_key *key = keydata;
    if (key->type == KEY_RSA || key->type == KEY_RSA_PSS)
        selection |= OSSL_KEYMGMT_SELECT_PUBLIC_KEY;
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0) {
        RAISE(key->provider, REASON_PRIVATE_EXPORT, NULL);
        return 0;
    }
    return is_filled(key) && EVP_PKEY_export(key->public, selection, callback, arg);
}

#define COMMON_GETTABLE                                                                            \
    OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),                                                    \
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),                                       \
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),                                            \
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0)

/* Key generation always fails. It exists to give a clear error where `default` does not come before
 * this provider in openssl.cnf: libssl then looks here for its ephemeral keys. */
static void *keymgmt_generate_init(void *context, int selection, const OSSL_PARAM params[])
{
    (void)selection;
    (void)params;
    RAISE((struct provider *)context, REASON_NOT_OURS, NULL);
    return NULL;
}

static void *keymgmt_generate(void *generation, OSSL_CALLBACK *callback, void *arg)
{
    (void)generation;
    (void)callback;
    (void)arg;
    return NULL;
}

static void keymgmt_generate_end(void *generation)
{
    (void)generation;
}

/* The restrictions of an RSA-PSS key (RFC 4055, section 3.1). */
#define PSS_RESTRICTIONS                                                                           \
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_RSA_DIGEST, NULL, 0),                                   \
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_RSA_MASKGENFUNC, NULL, 0),                          \
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_RSA_MGF1_DIGEST, NULL, 0),                          \
        OSSL_PARAM_int(OSSL_PKEY_PARAM_RSA_PSS_SALTLEN, NULL)

static const OSSL_PARAM rsa_public[] = {
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    OSSL_PARAM_octet_string(KEY_PARAM_SPKI, NULL, 0),
    OSSL_PARAM_END,
};
static const OSSL_PARAM rsa_pss_public[] = {
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    PSS_RESTRICTIONS,
    OSSL_PARAM_octet_string(KEY_PARAM_SPKI, NULL, 0),
    OSSL_PARAM_END,
};
static const OSSL_PARAM ec_public[] = {
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_octet_string(KEY_PARAM_SPKI, NULL, 0),
    OSSL_PARAM_END,
};
static const OSSL_PARAM raw_public[] = {
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_octet_string(KEY_PARAM_SPKI, NULL, 0),
    OSSL_PARAM_END,
};
static const OSSL_PARAM rsa_gettable_params[] = {
    COMMON_GETTABLE,
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    OSSL_PARAM_END,
};
static const OSSL_PARAM rsa_pss_gettable_params[] = {
    COMMON_GETTABLE,
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    PSS_RESTRICTIONS,
    OSSL_PARAM_END,
};
static const OSSL_PARAM ec_gettable_params[] = {
    COMMON_GETTABLE,
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_END,
};
static const OSSL_PARAM raw_gettable_params[] = {
    COMMON_GETTABLE,
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_END,
};

/* The functions that differ between the key types: OpenSSL passes them no key that would tell the
 * type. */
#define KEY_TYPE_FUNCTIONS(prefix, index, public, gettable)                                        \
    static void *prefix##_new(void *context)                                                       \
    {                                                                                              \
        return key_new(context, index);                                                            \
    }                                                                                              \
    static const OSSL_PARAM *prefix##_gettable(void *context)                                      \
    {                                                                                              \
        (void)context;                                                                             \
        return gettable;                                                                           \
    }                                                                                              \
    static const OSSL_PARAM *prefix##_types(int selection)                                         \
    {                                                                                              \
        return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 ? public : NULL;                  \
    }                                                                                              \
    static const char *prefix##_query_name(int operation)                                          \
    {                                                                                              \
        return operation == OSSL_OP_SIGNATURE     ? key_types[index].signature                     \
               : operation == OSSL_OP_ASYM_CIPHER ? key_types[index].cipher                        \
                                                  : NULL;                                          \
    }                                                                                              \
    static const OSSL_DISPATCH prefix##_keymgmt[] = {                                              \
        {OSSL_FUNC_KEYMGMT_NEW, (provider_function)prefix##_new},                                  \
        {OSSL_FUNC_KEYMGMT_FREE, (provider_function)keymgmt_free},                                 \
        {OSSL_FUNC_KEYMGMT_LOAD, (provider_function)keymgmt_load},                                 \
        {OSSL_FUNC_KEYMGMT_DUP, (provider_function)keymgmt_dup},                                   \
        {OSSL_FUNC_KEYMGMT_HAS, (provider_function)keymgmt_has},                                   \
        {OSSL_FUNC_KEYMGMT_MATCH, (provider_function)keymgmt_match},                               \
        {OSSL_FUNC_KEYMGMT_GET_PARAMS, (provider_function)keymgmt_get_params},                     \
        {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (provider_function)prefix##_gettable},                 \
        {OSSL_FUNC_KEYMGMT_IMPORT, (provider_function)keymgmt_import},                             \
        {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (provider_function)prefix##_types},                       \
        {OSSL_FUNC_KEYMGMT_EXPORT, (provider_function)keymgmt_export},                             \
        {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (provider_function)prefix##_types},                       \
        {OSSL_FUNC_KEYMGMT_GEN_INIT, (provider_function)keymgmt_generate_init},                    \
        {OSSL_FUNC_KEYMGMT_GEN, (provider_function)keymgmt_generate},                              \
        {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (provider_function)keymgmt_generate_end},                  \
        {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (provider_function)prefix##_query_name},          \
        {0, NULL},                                                                                 \
    };

KEY_TYPE_FUNCTIONS(rsa, KEY_RSA, rsa_public, rsa_gettable_params)
KEY_TYPE_FUNCTIONS(rsa_pss, KEY_RSA_PSS, rsa_pss_public, rsa_pss_gettable_params)
KEY_TYPE_FUNCTIONS(ec, KEY_EC, ec_public, ec_gettable_params)
KEY_TYPE_FUNCTIONS(ed25519, KEY_ED25519, raw_public, raw_gettable_params)
KEY_TYPE_FUNCTIONS(mldsa44, KEY_MLDSA44, raw_public, raw_gettable_params)
KEY_TYPE_FUNCTIONS(mldsa65, KEY_MLDSA65, raw_public, raw_gettable_params)
KEY_TYPE_FUNCTIONS(mldsa87, KEY_MLDSA87, raw_public, raw_gettable_params)

const OSSL_ALGORITHM provider_keymgmts[] = {
    {PROVIDER_MLDSA44, PROVIDER_PROPERTIES, mldsa44_keymgmt, "ML-DSA-44 in immured"},
    {PROVIDER_MLDSA65, PROVIDER_PROPERTIES, mldsa65_keymgmt, "ML-DSA-65 in immured"},
    {PROVIDER_MLDSA87, PROVIDER_PROPERTIES, mldsa87_keymgmt, "ML-DSA-87 in immured"},
    {PROVIDER_RSA, PROVIDER_PROPERTIES, rsa_keymgmt, "RSA in immured"},
    {PROVIDER_RSA_PSS, PROVIDER_PROPERTIES, rsa_pss_keymgmt, "RSA-PSS in immured"},
    {PROVIDER_EC, PROVIDER_PROPERTIES, ec_keymgmt, "EC in immured"},
    {PROVIDER_ED25519, PROVIDER_PROPERTIES, ed25519_keymgmt, "Ed25519 in immured"},
    {NULL, NULL, NULL, NULL},
};
