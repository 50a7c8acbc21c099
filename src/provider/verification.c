#include "provider/verification.h"

bool verification_begin(struct verification *verification, const struct provider_key *key,
                        const char *digest, const OSSL_PARAM params[])
{
    *verification = (struct verification){.message = EVP_MD_CTX_new()};
    if (verification->message != NULL &&
        EVP_DigestVerifyInit_ex(verification->message, &verification->context, digest,
                                key->provider->context, NULL, key->public, params) == 1)
        return true;
    verification_end(verification);
    return false;
}

bool verification_begin_digest(struct verification *verification, const struct provider_key *key,
                               int (*begin)(EVP_PKEY_CTX *context, const OSSL_PARAM params[]),
                               const OSSL_PARAM params[])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(key->provider->context, key->public, NULL);
    *verification = (struct verification){.context = context};
    if (context != NULL && begin(context, params) == 1)
        return true;
    verification_end(verification);
    return false;
}

bool verification_copy(struct verification *copy, const struct verification *verification)
{
    *copy = (struct verification){.context = NULL};
    if (verification->message != NULL) {
        copy->message = EVP_MD_CTX_new();
        if (copy->message != NULL && EVP_MD_CTX_copy_ex(copy->message, verification->message) == 1)
            copy->context = EVP_MD_CTX_get_pkey_ctx(copy->message);
    } else if (verification->context != NULL) {
        copy->context = EVP_PKEY_CTX_dup(verification->context);
    } else {
        return true;
    }
    if (copy->context != NULL)
        return true;
    verification_end(copy);
    return false;
}

void verification_end(struct verification *verification)
{
    if (verification->message != NULL)
        EVP_MD_CTX_free(verification->message); /* frees its EVP_PKEY_CTX too */
    else
        EVP_PKEY_CTX_free(verification->context);
    *verification = (struct verification){.context = NULL};
}
