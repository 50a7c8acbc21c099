/*
 * `immure:NAME` and `immure:NAME?socket=PATH`, provider-storemgmt(7): a key by its name in immured.
 * Unlike a key reference, loading it asks immured, which alone knows the public half.
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/store.h>
#include <stdlib.h>
#include <string.h>

#include "client/exchange.h"
#include "provider/key.h"
#include "provider/reason.h"

#define SCHEME "immure:"
#define SOCKET_OPTION "?socket="

struct store {
    struct provider *provider;
    char *name;
    const char *socket;
    int expected; /* OSSL_STORE_INFO_...; 0: anything */
    bool done;
};

/* A search for the one key of this name. */
struct search {
    const char *name;
    size_t found;
    uint8_t *spki;
    size_t spki_length;
};

static void *store_open(void *context, const char *uri)
{
    struct provider *provider = context;
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL || strncmp(uri, SCHEME, strlen(SCHEME)) != 0 ||
        (store->name = strdup(uri + strlen(SCHEME))) == NULL) {
        free(store);
        return NULL;
    }
    store->provider = provider;
    store->socket = provider->settings.socket != NULL ? provider->settings.socket : SETTINGS_SOCKET;
    char *option = strstr(store->name, SOCKET_OPTION);
    if (option != NULL) {
        *option = '\0';
        store->socket = option + strlen(SOCKET_OPTION);
    }
    return store;
}

static void note_key(void *arg, const struct immure_reply *reply)
{
    struct search *search = arg;
    const struct immure_key *key = reply->key;
    if (key == NULL || strcmp(key->name, search->name) != 0 || search->found++ > 0)
        return;
    search->spki = malloc(key->spki_length);
    search->spki_length = key->spki_length;
    if (search->spki != NULL)
        memcpy(search->spki, key->spki, key->spki_length);
}

/* False with the reason on the error queue. */
static bool find(const struct store *store, struct search *search)
{
    struct provider *provider = store->provider;
    if (provider->settings.fault[0] != '\0') {
        RAISE(provider, REASON_SETTING, "%s", provider->settings.fault);
        return false;
    }
    struct immure_blocking *exchange = service_connect(store->socket, &provider->settings);
    if (exchange == NULL) {
        RAISE(provider, REASON_CONNECTION, "%s: %s", store->socket, strerror(errno));
        return false;
    }
    const struct immure_request request = {
        .operation = IMMURE_LIST, .callback = note_key, .arg = search};
    enum immure_error error =
        immure_blocking_request(exchange, &request, provider->settings.timeout);
    if (error != IMMURE_OK)
        RAISE(provider, reason_of(error), "%s: %s", store->socket,
              exchange_error_text(exchange, error));
    else if (search->found != 1)
        RAISE(provider, REASON_URI, "%s has %s key \"%s\"", store->socket,
              search->found == 0 ? "no" : "more than one", store->name);
    else if (search->spki == NULL)
        RAISE(provider, REASON_MEMORY, NULL);
    /* The connection is not kept: after loading its keys, a server may close unknown descriptors,
     * become a daemon, or fork. */
    immure_blocking_free(exchange);
    return error == IMMURE_OK && search->found == 1 && search->spki != NULL;
}

/* A caller that expects a public key gets a plain SubjectPublicKeyInfo, which OpenSSL decodes like
 * that of any file. Our own keys would claim to have a private half. */
static int hand_over_public(const struct search *search, OSSL_CALLBACK *callback, void *arg)
{
    int type = OSSL_OBJECT_PKEY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE,
                                         (char *)"SubjectPublicKeyInfo", 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, search->spki,
                                          search->spki_length),
        OSSL_PARAM_construct_end(),
    };
    return callback(params, arg);
}

static int hand_over(const struct store *store, const struct search *search,
                     OSSL_CALLBACK *callback, void *arg)
{
    struct provider *provider = store->provider;
    if (store->expected == OSSL_STORE_INFO_PUBKEY)
        return hand_over_public(search, callback, arg);
    EVP_PKEY *public = spki_read(&provider->spki, search->spki, search->spki_length);
    return public != NULL && key_hand_over(provider, public, search->spki, search->spki_length,
                                           store->socket, callback, arg);
}

static int store_load(void *context, OSSL_CALLBACK *callback, void *arg,
                      OSSL_PASSPHRASE_CALLBACK *phrase, void *phrase_arg)
{
    struct store *store = context;
    struct search search = {.name = store->name};
    int result = 0;
    (void)phrase;
    (void)phrase_arg;
    store->done = true;
    if (find(store, &search))
        result = hand_over(store, &search, callback, arg);
    free(search.spki);
    return result;
}

static int store_eof(void *context)
{
    const struct store *store = context;
    return store->done;
}

static int store_close(void *context)
{
    struct store *store = context;
    free(store->name);
    free(store);
    return 1;
}

/* Search parameters are ignored, because a URI names one key. */
static int store_set_params(void *context, const OSSL_PARAM params[])
{
    struct store *store = context;
    const OSSL_PARAM *expected = OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT);
    return expected == NULL || OSSL_PARAM_get_int(expected, &store->expected);
}

static const OSSL_DISPATCH store_functions[] = {
    {OSSL_FUNC_STORE_OPEN, (provider_function)store_open},
    {OSSL_FUNC_STORE_LOAD, (provider_function)store_load},
    {OSSL_FUNC_STORE_EOF, (provider_function)store_eof},
    {OSSL_FUNC_STORE_CLOSE, (provider_function)store_close},
    {OSSL_FUNC_STORE_SET_CTX_PARAMS, (provider_function)store_set_params},
    {0, NULL},
};

const OSSL_ALGORITHM provider_stores[] = {
    {"immure", PROVIDER_PROPERTIES, store_functions, "keys in immured by name"},
    {NULL, NULL, NULL, NULL},
};
