/* Key exchange, provider-keyexch(7), on X25519. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "handshake/derivation.h"
#include "handshake/instance.h"
#include "handshake/key.h"

/* Holds copies of the keys, so that their lifetime does not matter. */
struct exchange {
    struct fast_handshake *fast;
    bool has_own, has_peer;
    struct key_pair own;
    uint8_t peer[X25519_SIZE];
};

static void *exchange_new(void *context)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange != NULL)
        exchange->fast = context;
    return exchange;
}

static void exchange_free(void *arg)
{
    struct exchange *exchange = arg;
    if (exchange == NULL)
        return;
    OPENSSL_cleanse(&exchange->own, sizeof exchange->own);
    free(exchange);
}

static void *exchange_dup(void *arg)
{
    const struct exchange *from = arg;
    struct exchange *to = exchange_new(from->fast);
    if (to != NULL)
        *to = *from;
    return to;
}

static int exchange_init(void *arg, void *keydata, const OSSL_PARAM params[])
{
    struct exchange *exchange = arg;
    const struct x25519_key *key = keydata;
    (void)params;
    exchange->has_peer = false;
    exchange->has_own = key != NULL && key->has_private && key->has_public;
    if (exchange->has_own)
        exchange->own = key->pair;
    return exchange->has_own;
}

static int exchange_set_peer(void *arg, void *keydata)
{
    struct exchange *exchange = arg;
    const struct x25519_key *key = keydata;
    exchange->has_peer = key != NULL && key->has_public;
    if (exchange->has_peer)
        memcpy(exchange->peer, key->pair.public, X25519_SIZE);
    return exchange->has_peer;
}

static int exchange_derive(void *arg, unsigned char *secret, size_t *length, size_t size)
{
    struct exchange *exchange = arg;
    if (!exchange->has_own || !exchange->has_peer || (secret != NULL && size < X25519_SIZE))
        return 0;
    *length = X25519_SIZE;
    return secret == NULL ||
           derivation_make(exchange->fast, &exchange->own, exchange->peer, secret);
}

const OSSL_DISPATCH exchange_functions[] = {
    {OSSL_FUNC_KEYEXCH_NEWCTX, (provider_function)exchange_new},
    {OSSL_FUNC_KEYEXCH_FREECTX, (provider_function)exchange_free},
    {OSSL_FUNC_KEYEXCH_DUPCTX, (provider_function)exchange_dup},
    {OSSL_FUNC_KEYEXCH_INIT, (provider_function)exchange_init},
    {OSSL_FUNC_KEYEXCH_SET_PEER, (provider_function)exchange_set_peer},
    {OSSL_FUNC_KEYEXCH_DERIVE, (provider_function)exchange_derive},
    {0, NULL},
};
