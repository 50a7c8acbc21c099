#include "keyd/decrypt.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

static EVP_PKEY_CTX *context_new(const struct job *job)
{
    unsigned version = job->client_version;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, job->key->pair, NULL);
    if (context != NULL && EVP_PKEY_decrypt_init(context) > 0 &&
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_WITH_TLS_PADDING) > 0 &&
        EVP_PKEY_CTX_set_params(context, params) > 0)
        return context;
    EVP_PKEY_CTX_free(context);
    return NULL;
}

void decrypt_run(struct job *job)
{
    EVP_PKEY_CTX *context = context_new(job);
    size_t length = WIRE_PREMASTER_SIZE;
    job->signature_length = WIRE_PREMASTER_SIZE;
    if (context == NULL)
        job->error = IMMURE_E_SIGNING;
    /* Not even a number below the modulus: whoever sent it knows that, but need not be told. */
    else if (EVP_PKEY_decrypt(context, job->signature, &length, job->message,
                              job->message_length) <= 0 ||
             length != WIRE_PREMASTER_SIZE)
        job->error = RAND_priv_bytes(job->signature, WIRE_PREMASTER_SIZE) == 1 ? IMMURE_OK
                                                                               : IMMURE_E_SIGNING;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
}
