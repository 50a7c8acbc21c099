/*
 * Prints keys as text, provider-encoder(7): the public half, and where the private one is. No other
 * encoder is needed, because OpenSSL's own encode the public half that keymgmt exports.
 */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "provider/key.h"
#include "provider/reason.h"

/* Encoders have no state. */
static void *encoder_new(void *context)
{
    return context;
}

static void encoder_free(void *context)
{
    (void)context;
}

static int encoder_does_selection(void *context, int selection)
{
    (void)context;
    return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_ALL) != 0;
}

static bool print_place(BIO *out, const struct provider_key *key)
{
    bool printed = BIO_printf(out, "Private-Key: in immured%s%s, as key id ",
                              key->service != NULL ? " at " : "",
                              key->service != NULL ? key->service->socket : "") > 0;
    for (size_t i = 0; i < sizeof key->id; i++)
        printed = printed && BIO_printf(out, "%02x", key->id[i]) > 0;
    return printed && BIO_puts(out, "\n") > 0;
}

static int encoder_encode(void *context, OSSL_CORE_BIO *out, const void *keydata,
                          const OSSL_PARAM abstract[], int selection,
                          OSSL_PASSPHRASE_CALLBACK *phrase, void *phrase_arg)
{
    const struct provider *provider = context;
    const struct provider_key *key = keydata;
    (void)phrase;
    (void)phrase_arg;
    if (key == NULL || abstract != NULL || key->public == NULL) {
        RAISE(provider, REASON_NO_KEY, NULL);
        return 0;
    }
    BIO *bio = BIO_new_from_core_bio(provider->context, out);
    if (bio == NULL) {
        RAISE(provider, REASON_MEMORY, NULL);
        return 0;
    }
    bool printed = (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || print_place(bio, key);
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0)
        printed = printed && EVP_PKEY_print_public(bio, key->public, 0, NULL) == 1;
    else
        printed = printed && EVP_PKEY_print_params(bio, key->public, 0, NULL) == 1;
    BIO_free(bio);
    return printed;
}

static const OSSL_DISPATCH text_functions[] = {
    {OSSL_FUNC_ENCODER_NEWCTX, (provider_function)encoder_new},
    {OSSL_FUNC_ENCODER_FREECTX, (provider_function)encoder_free},
    {OSSL_FUNC_ENCODER_DOES_SELECTION, (provider_function)encoder_does_selection},
    {OSSL_FUNC_ENCODER_ENCODE, (provider_function)encoder_encode},
    {0, NULL},
};

#define TEXT_OUTPUT PROVIDER_PROPERTIES ",output=text"

const OSSL_ALGORITHM provider_encoders[] = {
    {PROVIDER_MLDSA44, TEXT_OUTPUT, text_functions, NULL},
    {PROVIDER_MLDSA65, TEXT_OUTPUT, text_functions, NULL},
    {PROVIDER_MLDSA87, TEXT_OUTPUT, text_functions, NULL},
    {PROVIDER_RSA, TEXT_OUTPUT, text_functions, NULL},
    {PROVIDER_RSA_PSS, TEXT_OUTPUT, text_functions, NULL},
    {PROVIDER_EC, TEXT_OUTPUT, text_functions, NULL},
    {PROVIDER_ED25519, TEXT_OUTPUT, text_functions, NULL},
    {NULL, NULL, NULL, NULL},
};
