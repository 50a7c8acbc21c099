#define OPENSSL_SUPPRESS_DEPRECATED
#include "keyd/driver/multibuffer/encoding.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "keyd/sign/job.h"

#define PREFIX_SIZE 19

/* DigestInfo up to the digest (RFC 8017, section 9.2, note 1). */
static const struct {
    size_t digest_length;
    uint8_t prefix[PREFIX_SIZE];
} digest_infos[] = {
    {32,
     {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
      0x05, 0x00, 0x04, 0x20}},
    {48,
     {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
      0x05, 0x00, 0x04, 0x30}},
    {64,
     {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
      0x05, 0x00, 0x04, 0x40}},
};

RSA *encoding_key_new(const EVP_PKEY *pair)
{
    RSA *key = RSA_new();
    BIGNUM *n = NULL, *e = NULL;
    if (key != NULL && EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
        RSA_set0_key(key, n, e, NULL) == 1)
        return key;
    BN_free(n);
    BN_free(e);
    RSA_free(key);
    return NULL;
}

void encoding_key_free(RSA *key)
{
    RSA_free(key);
}

static bool encode_pkcs1(uint8_t *encoded, RSA *key, const uint8_t *digest, size_t length)
{
    uint8_t info[PREFIX_SIZE + JOB_DIGEST_MAX];
    for (size_t i = 0; i < sizeof digest_infos / sizeof digest_infos[0]; i++) {
        if (digest_infos[i].digest_length != length)
            continue;
        memcpy(info, digest_infos[i].prefix, PREFIX_SIZE);
        memcpy(info + PREFIX_SIZE, digest, length);
        return RSA_padding_add_PKCS1_type_1(encoded, RSA_size(key), info,
                                            (int)(PREFIX_SIZE + length)) == 1;
    }
    return false;
}

bool encoding_make(uint8_t *encoded, RSA *key, const EVP_MD *hash, bool pss, const uint8_t *digest,
                   size_t digest_length)
{
    if (digest_length != (size_t)EVP_MD_get_size(hash))
        return false;
    return pss ? RSA_padding_add_PKCS1_PSS_mgf1(key, encoded, digest, hash, hash,
                                                RSA_PSS_SALTLEN_DIGEST) == 1
               : encode_pkcs1(encoded, key, digest, digest_length);
}
