#include "keyd/sign/decrypt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <string.h>

#define VERSION_SIZE 2
#define REJECTION_DIGEST "SHA384" /* as long as a premaster secret */
#define SECRET_SIZE 32            /* of SHA-256 */

/* A decrypted secret, or the one that replaces it. */
struct premaster {
    uint8_t bytes[WIRE_PREMASTER_SIZE];
};

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

/* False: the ciphertext is not a number below the modulus, which is no secret to its sender. */
static bool decrypt(EVP_PKEY_CTX *context, const struct job *job, struct premaster *premaster)
{
    size_t length = sizeof premaster->bytes;
    return EVP_PKEY_decrypt(context, premaster->bytes, &length, job->message, job->message_length) >
               0 &&
           length == sizeof premaster->bytes;
}

/* SHA-256 of the private exponent. */
static bool derive_secret(const struct key *key, uint8_t secret[SECRET_SIZE])
{
    uint8_t bytes[WIRE_CIPHERTEXT_MAX];
    BIGNUM *exponent = NULL;
    bool good = EVP_PKEY_get_bn_param(key->pair, OSSL_PKEY_PARAM_RSA_D, &exponent) == 1 &&
                BN_bn2binpad(exponent, bytes, (int)key->signature_max) > 0 &&
                EVP_Q_digest(NULL, "SHA256", NULL, bytes, key->signature_max, secret, NULL) == 1;
    BN_clear_free(exponent);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return good;
}

/* The implicit rejection: the version, as in a premaster secret, then the HMAC of version and
 * ciphertext. */
static bool reject(const struct job *job, struct premaster *premaster)
{
    uint8_t secret[SECRET_SIZE], asked[VERSION_SIZE + WIRE_CIPHERTEXT_MAX];
    const uint8_t version[VERSION_SIZE] = {(uint8_t)(job->client_version >> 8),
                                           (uint8_t)job->client_version};
    if (job->message_length > WIRE_CIPHERTEXT_MAX || !derive_secret(job->key, secret))
        return false;
    memcpy(asked, version, VERSION_SIZE);
    memcpy(asked + VERSION_SIZE, job->message, job->message_length);
    bool good = EVP_Q_mac(NULL, "HMAC", NULL, REJECTION_DIGEST, NULL, secret, sizeof secret, asked,
                          VERSION_SIZE + job->message_length, premaster->bytes,
                          sizeof premaster->bytes, NULL) != NULL;
    memcpy(premaster->bytes, version, VERSION_SIZE);
    OPENSSL_cleanse(secret, sizeof secret);
    return good;
}

/* Chooses, in constant time, `a` if `b` equals it, else `otherwise`. */
static void choose(uint8_t *chosen, const struct premaster *a, const struct premaster *b,
                   bool comparable, const struct premaster *otherwise)
{
    unsigned different = (unsigned)CRYPTO_memcmp(a, b, sizeof *a) | !comparable; /* a byte */
    uint8_t mask = (uint8_t)((0 - different) >> 8);
    for (size_t i = 0; i < sizeof a->bytes; i++)
        chosen[i] = (uint8_t)((a->bytes[i] & ~mask) | (otherwise->bytes[i] & mask));
}

void decrypt_run(struct job *job)
{
    struct premaster first = {{0}}, second = {{0}}, rejected = {{0}};
    EVP_PKEY_CTX *context = context_new(job);
    job->result_length = WIRE_PREMASTER_SIZE;
    if (context != NULL && reject(job, &rejected)) {
        bool both = decrypt(context, job, &first) & decrypt(context, job, &second);
        choose(job->result, &first, &second, both, &rejected);
    } else {
        job->error = IMMURE_E_SIGNING;
    }
    EVP_PKEY_CTX_free(context);
    OPENSSL_cleanse(&first, sizeof first);
    OPENSSL_cleanse(&second, sizeof second);
    OPENSSL_cleanse(&rejected, sizeof rejected);
    ERR_clear_error();
}
