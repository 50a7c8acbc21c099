#include "keyd/sign/contexts.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#define SLOTS 256

struct contexts {
    enum contexts_purpose purpose;
    struct slot {
        const EVP_PKEY *half; /* which the context keeps from being freed */
        const struct wire_scheme *scheme;
        EVP_PKEY_CTX *context;
    } slots[SLOTS];
};

struct contexts *contexts_new(enum contexts_purpose purpose)
{
    struct contexts *contexts = calloc(1, sizeof *contexts);
    if (contexts != NULL)
        contexts->purpose = purpose;
    return contexts;
}

void contexts_clear(struct contexts *contexts)
{
    for (size_t i = 0; i < SLOTS; i++) {
        EVP_PKEY_CTX_free(contexts->slots[i].context);
        contexts->slots[i] = (struct slot){.half = NULL};
    }
}

void contexts_free(struct contexts *contexts)
{
    if (contexts != NULL)
        contexts_clear(contexts);
    free(contexts);
}

static bool set_padding(EVP_PKEY_CTX *context, const struct wire_scheme *scheme)
{
    if (scheme->key_type != WIRE_KEY_RSA && scheme->key_type != WIRE_KEY_RSA_PSS)
        return true;
    if (!scheme->pss)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
}

bool context_set_up(EVP_PKEY_CTX *context, enum contexts_purpose purpose,
                    const struct wire_scheme *scheme)
{
    int ready =
        purpose == CONTEXTS_SIGN ? EVP_PKEY_sign_init(context) : EVP_PKEY_verify_init(context);
    /* the digest first: some providers need it before they accept a salt length */
    return ready > 0 &&
           EVP_PKEY_CTX_set_signature_md(context, EVP_get_digestbyname(scheme->digest)) > 0 &&
           set_padding(context, scheme);
}

static EVP_PKEY_CTX *make(enum contexts_purpose purpose, EVP_PKEY *half,
                          const struct wire_scheme *scheme)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, half, NULL);
    if (context != NULL && context_set_up(context, purpose, scheme))
        return context;
    EVP_PKEY_CTX_free(context);
    return NULL;
}

EVP_PKEY_CTX *contexts_get(struct contexts *contexts, const struct key *key,
                           const struct wire_scheme *scheme)
{
    size_t place = key->index * wire_scheme_count + (size_t)(scheme - wire_schemes);
    struct slot *slot = &contexts->slots[place % SLOTS];
    EVP_PKEY *half = contexts->purpose == CONTEXTS_SIGN ? key->pair : key->public;
    if (slot->half != half || slot->scheme != scheme) {
        EVP_PKEY_CTX_free(slot->context);
        slot->context = make(contexts->purpose, half, scheme);
        slot->half = slot->context != NULL ? half : NULL;
        slot->scheme = scheme;
    }
    return slot->context;
}
