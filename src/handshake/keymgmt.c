/* Key management, provider-keymgmt(7), for X25519 keys, with the parameters of
 * EVP_PKEY-X25519(7). */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "handshake/instance.h"
#include "handshake/key.h"

#define BITS 253
#define SECURITY_BITS 128

static void *key_new(void *context)
{
    struct x25519_key *key = calloc(1, sizeof *key);
    if (key != NULL)
        key->fast = context;
    return key;
}

static void key_free(void *keydata)
{
    struct x25519_key *key = keydata;
    if (key == NULL)
        return;
    OPENSSL_cleanse(&key->pair, sizeof key->pair);
    free(key);
}

static void *key_dup(const void *keydata, int selection)
{
    const struct x25519_key *from = keydata;
    struct x25519_key *to = key_new(from->fast);
    if (to == NULL)
        return NULL;
    to->has_public = from->has_public && (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0;
    to->has_private = from->has_private && (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
    if (to->has_public)
        memcpy(to->pair.public, from->pair.public, X25519_SIZE);
    if (to->has_private)
        memcpy(to->pair.private, from->pair.private, X25519_SIZE);
    return to;
}

static int key_has(const void *keydata, int selection)
{
    const struct x25519_key *key = keydata;
    return key != NULL && (key->has_public || (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0) &&
           (key->has_private || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0);
}

/* Compares the public halves if both keys have them, as OpenSSL's default provider does. */
static int key_match(const void *keydata1, const void *keydata2, int selection)
{
    const struct x25519_key *key1 = keydata1, *key2 = keydata2;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
        return 1;
    if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 && key1->has_public && key2->has_public)
        return CRYPTO_memcmp(key1->pair.public, key2->pair.public, X25519_SIZE) == 0;
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && key1->has_private &&
        key2->has_private)
        return CRYPTO_memcmp(key1->pair.private, key2->pair.private, X25519_SIZE) == 0;
    return 0;
}

/* ---- parameters ---- */

static bool put_bytes(OSSL_PARAM params[], const char *name, bool have, const uint8_t *bytes)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return param == NULL || !have || OSSL_PARAM_set_octet_string(param, bytes, X25519_SIZE);
}

static bool put_number(OSSL_PARAM params[], const char *name, int number)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return param == NULL || OSSL_PARAM_set_int(param, number);
}

static int key_get_params(void *keydata, OSSL_PARAM params[])
{
    const struct x25519_key *key = keydata;
    const struct key_pair *pair = &key->pair;
    return put_number(params, OSSL_PKEY_PARAM_BITS, BITS) &&
           put_number(params, OSSL_PKEY_PARAM_SECURITY_BITS, SECURITY_BITS) &&
           put_number(params, OSSL_PKEY_PARAM_MAX_SIZE, X25519_SIZE) &&
           put_bytes(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, key->has_public, pair->public) &&
           put_bytes(params, OSSL_PKEY_PARAM_PUB_KEY, key->has_public, pair->public) &&
           put_bytes(params, OSSL_PKEY_PARAM_PRIV_KEY, key->has_private, pair->private);
}

static const OSSL_PARAM *key_gettable(void *context)
{
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    return gettable;
}

static bool take_bytes(const OSSL_PARAM *param, uint8_t *bytes)
{
    void *at = bytes;
    size_t length = 0;
    return OSSL_PARAM_get_octet_string(param, &at, X25519_SIZE, &length) && length == X25519_SIZE;
}

/* libssl sets a peer's key share this way: a public key alone. */
static int key_set_params(void *keydata, const OSSL_PARAM params[])
{
    struct x25519_key *key = keydata;
    const OSSL_PARAM *encoded = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
    if (encoded == NULL)
        return 1;
    OPENSSL_cleanse(&key->pair, sizeof key->pair);
    key->has_private = false;
    key->has_public = take_bytes(encoded, key->pair.public);
    return key->has_public;
}

static const OSSL_PARAM *key_settable(void *context)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)context;
    return settable;
}

static int key_import(void *keydata, int selection, const OSSL_PARAM params[])
{
    struct x25519_key *key = keydata;
    bool wants_private = (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
    const OSSL_PARAM *public = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
    const OSSL_PARAM *private =
        wants_private ? OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY) : NULL;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0 || (private == NULL && public == NULL) ||
        (public != NULL && !take_bytes(public, key->pair.public)) ||
        (private != NULL && !take_bytes(private, key->pair.private)))
        return 0;
    key->has_private = private != NULL;
    key->has_public = public != NULL || plain_make_public(key->fast->context, &key->pair);
    return key->has_public;
}

static int key_export(void *keydata, int selection, OSSL_CALLBACK *callback, void *arg)
{
    struct x25519_key *key = keydata;
    OSSL_PARAM params[3];
    size_t count = 0;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
        return 0;
    if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 && key->has_public)
        params[count++] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                                            key->pair.public, X25519_SIZE);
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && key->has_private)
        params[count++] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
                                                            key->pair.private, X25519_SIZE);
    params[count] = OSSL_PARAM_construct_end();
    return callback(params, arg);
}

static const OSSL_PARAM *key_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    return (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0 ? types : NULL;
}

/* ---- generation ---- */

struct key_generation {
    struct fast_handshake *fast;
    int selection;
};

static int generation_set_params(void *arg, const OSSL_PARAM params[])
{
    const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
    (void)arg;
    return group == NULL || (group->data_type == OSSL_PARAM_UTF8_STRING && group->data != NULL &&
                             OPENSSL_strcasecmp(group->data, "X25519") == 0);
}

static const OSSL_PARAM *generation_settable(void *generation, void *context)
{
    static const OSSL_PARAM settable[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)generation;
    (void)context;
    return settable;
}

static void *generation_init(void *context, int selection, const OSSL_PARAM params[])
{
    struct key_generation *generation = calloc(1, sizeof *generation);
    if (generation == NULL || !generation_set_params(generation, params)) {
        free(generation);
        return NULL;
    }
    *generation = (struct key_generation){.fast = context, .selection = selection};
    return generation;
}

/* Without a key pair in the selection, the result is an empty key for a peer's key share. */
static void *generation_run(void *arg, OSSL_CALLBACK *callback, void *callback_arg)
{
    const struct key_generation *generation = arg;
    struct fast_handshake *fast = generation->fast;
    struct x25519_key *key = key_new(fast);
    (void)callback;
    (void)callback_arg;
    if (key == NULL || (generation->selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
        return key;
    bool good = fast->pairs != NULL ? pairs_take(fast->pairs, &key->pair)
                                    : plain_generate(fast->context, &key->pair);
    if (!good) {
        key_free(key);
        return NULL;
    }
    key->has_private = key->has_public = true;
    return key;
}

static void generation_free(void *generation)
{
    free(generation);
}

const OSSL_DISPATCH keymgmt_functions[] = {
    {OSSL_FUNC_KEYMGMT_NEW, (provider_function)key_new},
    {OSSL_FUNC_KEYMGMT_FREE, (provider_function)key_free},
    {OSSL_FUNC_KEYMGMT_DUP, (provider_function)key_dup},
    {OSSL_FUNC_KEYMGMT_HAS, (provider_function)key_has},
    {OSSL_FUNC_KEYMGMT_MATCH, (provider_function)key_match},
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (provider_function)key_get_params},
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (provider_function)key_gettable},
    {OSSL_FUNC_KEYMGMT_SET_PARAMS, (provider_function)key_set_params},
    {OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (provider_function)key_settable},
    {OSSL_FUNC_KEYMGMT_IMPORT, (provider_function)key_import},
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (provider_function)key_types},
    {OSSL_FUNC_KEYMGMT_EXPORT, (provider_function)key_export},
    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (provider_function)key_types},
    {OSSL_FUNC_KEYMGMT_GEN_INIT, (provider_function)generation_init},
    {OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (provider_function)generation_set_params},
    {OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (provider_function)generation_settable},
    {OSSL_FUNC_KEYMGMT_GEN, (provider_function)generation_run},
    {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (provider_function)generation_free},
    {0, NULL},
};
