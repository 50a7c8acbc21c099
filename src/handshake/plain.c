#include "handshake/plain.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define PROPERTIES "provider=default"

static bool get_raw(EVP_PKEY *key, struct key_pair *pair)
{
    size_t private = sizeof pair->private, public = sizeof pair->public;
    return EVP_PKEY_get_raw_private_key(key, pair->private, &private) == 1 &&
           EVP_PKEY_get_raw_public_key(key, pair->public, &public) == 1;
}

bool plain_generate(OSSL_LIB_CTX *context, struct key_pair *pair)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(context, PROPERTIES, "X25519");
    bool good = key != NULL && get_raw(key, pair);
    EVP_PKEY_free(key);
    return good;
}

bool plain_make_public(OSSL_LIB_CTX *context, struct key_pair *own)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(context, "X25519", PROPERTIES, own->private,
                                                    sizeof own->private);
    bool good = key != NULL && get_raw(key, own);
    EVP_PKEY_free(key);
    return good;
}

/* Loads both halves: EVP_PKEY_new_raw_private_key_ex() would compute the public one. */
static EVP_PKEY *load_pair(OSSL_LIB_CTX *context, const struct key_pair *pair)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)pair->private,
                                          sizeof pair->private),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)pair->public,
                                          sizeof pair->public),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(context, "X25519", PROPERTIES);
    if (maker == NULL || EVP_PKEY_fromdata_init(maker) <= 0 ||
        EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(maker);
    return key;
}

bool plain_derive(OSSL_LIB_CTX *context, const struct key_pair *own,
                  const uint8_t peer[X25519_SIZE], uint8_t secret[X25519_SIZE])
{
    size_t length = X25519_SIZE;
    EVP_PKEY *key = load_pair(context, own);
    EVP_PKEY *other =
        EVP_PKEY_new_raw_public_key_ex(context, "X25519", PROPERTIES, peer, X25519_SIZE);
    EVP_PKEY_CTX *derivation =
        key != NULL ? EVP_PKEY_CTX_new_from_pkey(context, key, PROPERTIES) : NULL;
    bool good = derivation != NULL && other != NULL && EVP_PKEY_derive_init(derivation) == 1 &&
                EVP_PKEY_derive_set_peer_ex(derivation, other, 0) == 1 &&
                EVP_PKEY_derive(derivation, secret, &length) == 1 && length == X25519_SIZE;
    EVP_PKEY_CTX_free(derivation);
    EVP_PKEY_free(other);
    EVP_PKEY_free(key);
    return good;
}
