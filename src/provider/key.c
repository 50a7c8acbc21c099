#include "provider/key.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "provider/reason.h"

_Static_assert(SHA256_DIGEST_LENGTH == IMMURE_KEY_ID_SIZE, "a key id is a SHA-256");

const struct key_type key_types[] = {
    [KEY_RSA] = {"RSA", "RSA", "RSA"},
    [KEY_RSA_PSS] = {"RSA-PSS", "RSA", NULL},
    [KEY_EC] = {"EC", "ECDSA", NULL},
    [KEY_ED25519] = {"ED25519", "ED25519", NULL},
    [KEY_MLDSA44] = {"ML-DSA-44", "ML-DSA-44", NULL},
    [KEY_MLDSA65] = {"ML-DSA-65", "ML-DSA-65", NULL},
    [KEY_MLDSA87] = {"ML-DSA-87", "ML-DSA-87", NULL},
};
const size_t key_type_count = sizeof key_types / sizeof key_types[0];

struct provider_key *key_new(struct provider *provider, enum key_type_index type)
{
    struct provider_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        RAISE(provider, REASON_MEMORY, NULL);
        return NULL;
    }
    key->provider = provider;
    key->type = type;
    atomic_init(&key->holders, 1);
    return key;
}

struct provider_key *key_share(struct provider_key *key)
{
    atomic_fetch_add_explicit(&key->holders, 1, memory_order_relaxed);
    return key;
}

void key_release(struct provider_key *key)
{
    if (key == NULL || atomic_fetch_sub_explicit(&key->holders, 1, memory_order_acq_rel) > 1)
        return;
    EVP_PKEY_free(key->public);
    free(key);
}

/* The socket in openssl.cnf takes precedence over that of the key reference (NULL: none). */
static bool find_service(struct provider_key *key, const char *socket)
{
    struct provider *provider = key->provider;
    if (provider->settings.socket != NULL)
        socket = provider->settings.socket;
    if (socket == NULL)
        return true;
    key->service = services_find(&provider->services, socket);
    return key->service != NULL;
}

/* Takes ownership of `public`. */
static bool fill(struct provider_key *key, EVP_PKEY *public, const uint8_t *spki, size_t length,
                 const char *socket)
{
    if (public != NULL && key->public == NULL && EVP_PKEY_is_a(public, key_types[key->type].name) &&
        EVP_Q_digest(key->provider->context, "SHA256", NULL, spki, length, key->id, NULL)) {
        if (!find_service(key, socket)) {
            EVP_PKEY_free(public);
            RAISE(key->provider, REASON_MEMORY, NULL);
            return false;
        }
        key->public = public;
        if (key->type == KEY_RSA_PSS)
            key->limits = pss_limits_of(public);
        return true;
    }
    RAISE(key->provider, REASON_PUBLIC_KEY, "%s", key_types[key->type].name);
    EVP_PKEY_free(public);
    return false;
}

size_t key_type_of(const EVP_PKEY *public)
{
    size_t i = 0;
    while (i < key_type_count && !EVP_PKEY_is_a(public, key_types[i].name))
        i++;
    return i;
}

bool key_fill_spki(struct provider_key *key, const uint8_t *spki, size_t length)
{
    return fill(key, spki_read(&key->provider->spki, spki, length), spki, length, NULL);
}

bool key_fill_params(struct provider_key *key, const OSSL_PARAM params[])
{
    EVP_PKEY *made = NULL;
    EVP_PKEY_CTX *maker =
        EVP_PKEY_CTX_new_from_name(key->provider->context, key_types[key->type].name, NULL);
    if (maker == NULL || EVP_PKEY_fromdata_init(maker) <= 0 ||
        EVP_PKEY_fromdata(maker, &made, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) <= 0)
        made = NULL;
    EVP_PKEY_CTX_free(maker);

    uint8_t *spki = NULL;
    int length = made != NULL ? i2d_PUBKEY(made, &spki) : 0;
    bool filled = fill(key, length > 0 ? made : NULL, spki, length > 0 ? (size_t)length : 0, NULL);
    if (made != NULL && length <= 0)
        EVP_PKEY_free(made);
    OPENSSL_free(spki);
    return filled;
}

static struct provider_key *make(struct provider *provider, EVP_PKEY *public, const uint8_t *spki,
                                 size_t length, const char *socket)
{
    size_t type = key_type_of(public);
    struct provider_key *key = NULL;
    if (type < key_type_count)
        key = key_new(provider, (enum key_type_index)type);
    else
        RAISE(provider, REASON_PUBLIC_KEY, "%s", EVP_PKEY_get0_type_name(public));
    if (key == NULL) {
        EVP_PKEY_free(public);
        return NULL;
    }
    if (fill(key, public, spki, length, socket))
        return key;
    key_release(key);
    return NULL;
}

int key_hand_over(struct provider *provider, EVP_PKEY *public, const uint8_t *spki, size_t length,
                  const char *socket, OSSL_CALLBACK *callback, void *arg)
{
    struct provider_key *key = make(provider, public, spki, length, socket);
    if (key == NULL)
        return 0;
    int type = OSSL_OBJECT_PKEY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE,
                                         (char *)key_types[key->type].name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof key),
        OSSL_PARAM_construct_end(),
    };
    int result = callback(params, arg);
    key_release(key); /* NULL if keymgmt took it */
    return result;
}
