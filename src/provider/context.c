#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#include "immure/openssl.h"
#include "provider/key.h"
#include "provider/provider.h"

#define LOADED_MAX 2 /* `default` and `immure` */

OSSL_LIB_CTX *immure_openssl_context(void)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    if (context == NULL)
        return NULL;
    /* `default` must come first: otherwise libssl looks for ephemeral P-256 keys in our
     * provider. */
    if (OSSL_PROVIDER_load(context, "default") != NULL &&
        OSSL_PROVIDER_add_builtin(context, "immure", provider_init) &&
        OSSL_PROVIDER_load(context, "immure") != NULL &&
        EVP_set_default_properties(context, IMMURE_OPENSSL_PROPERTIES))
        return context;
    immure_openssl_context_free(context);
    return NULL;
}

struct handles {
    OSSL_PROVIDER *handle[LOADED_MAX];
    size_t count;
};

static int collect(OSSL_PROVIDER *handle, void *arg)
{
    struct handles *handles = arg;
    if (handles->count < LOADED_MAX)
        handles->handle[handles->count++] = handle;
    return 1;
}

void immure_openssl_context_free(OSSL_LIB_CTX *context)
{
    struct handles handles = {.count = 0};
    if (context == NULL)
        return;
    OSSL_PROVIDER_do_all(context, collect, &handles);
    while (handles.count > 0)
        OSSL_PROVIDER_unload(handles.handle[--handles.count]);
    OSSL_LIB_CTX_free(context);
}

/* The name of the key's type ("RSA", "EC", "ED25519"), by which OpenSSL finds the key
 * management. */
static const char *type_name(OSSL_LIB_CTX *context, const uint8_t *spki, size_t spki_length)
{
    const uint8_t *end = spki;
    EVP_PKEY *public =
        d2i_PUBKEY_ex(NULL, &end, (long)spki_length, context, IMMURE_OPENSSL_PROPERTIES);
    const char *name = NULL;
    for (size_t i = 0; public != NULL && i < key_type_count; i++)
        if (EVP_PKEY_is_a(public, key_types[i].name))
            name = key_types[i].name;
    EVP_PKEY_free(public);
    return name;
}

EVP_PKEY *immure_openssl_key(OSSL_LIB_CTX *context, const uint8_t *spki, size_t spki_length)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(KEY_PARAM_SPKI, (void *)spki, spki_length),
        OSSL_PARAM_construct_end(),
    };
    const char *name = type_name(context, spki, spki_length);
    if (name == NULL)
        return NULL;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(context, name, "provider=immure");
    if (maker == NULL || EVP_PKEY_fromdata_init(maker) <= 0 ||
        EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(maker);
    return key;
}
