#include "operator/public_key.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "immure/reference.h"
#include "wire/limits.h"
#include "wire/scheme.h"

static void describe(struct public_key *key)
{
    char group[PUBLIC_KEY_TYPE_SIZE];
    if (key->pkey == NULL) {
        snprintf(key->type, sizeof key->type, "unknown");
        return;
    }
    const char *name = EVP_PKEY_get0_type_name(key->pkey);
    if (EVP_PKEY_get_group_name(key->pkey, group, sizeof group, NULL) == 1) {
        const char *nist = EC_curve_nid2nist(OBJ_sn2nid(group));
        snprintf(key->type, sizeof key->type, "%s", nist != NULL ? nist : group);
    } else if (strncmp(name, "RSA", 3) == 0) {
        snprintf(key->type, sizeof key->type, "%s-%d", name, EVP_PKEY_get_bits(key->pkey));
    } else {
        bool ed25519 = EVP_PKEY_is_a(key->pkey, "ED25519");
        snprintf(key->type, sizeof key->type, "%s", ed25519 ? "Ed25519" : name);
    }
}

bool public_key_take(struct public_key *key, const uint8_t *spki, size_t spki_length)
{
    *key =
        (struct public_key){.spki = OPENSSL_memdup(spki, spki_length), .spki_length = spki_length};
    if (key->spki == NULL ||
        EVP_Digest(spki, spki_length, key->id, NULL, EVP_sha256(), NULL) != 1) {
        public_key_free(key);
        return false;
    }
    const uint8_t *at = key->spki;
    key->pkey = d2i_PUBKEY(NULL, &at, (long)spki_length);
    ERR_clear_error();
    describe(key);
    return true;
}

static EVP_PKEY *key_of(X509 *certificate)
{
    EVP_PKEY *pkey = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return pkey;
}

static EVP_PKEY *read_certificate_pem(BIO *file)
{
    return key_of(PEM_read_bio_X509(file, NULL, NULL, NULL));
}

static EVP_PKEY *read_key_pem(BIO *file)
{
    return PEM_read_bio_PUBKEY(file, NULL, NULL, NULL);
}

static EVP_PKEY *read_certificate_der(BIO *file)
{
    return key_of(d2i_X509_bio(file, NULL));
}

static EVP_PKEY *read_key_der(BIO *file)
{
    return d2i_PUBKEY_bio(file, NULL);
}

const char *public_key_read(struct public_key *key, const char *file)
{
    EVP_PKEY *(*const readers[])(BIO * file) = {read_certificate_pem, read_key_pem,
                                                read_certificate_der, read_key_der};
    EVP_PKEY *pkey = NULL;
    uint8_t *spki = NULL;
    BIO *bio = BIO_new_file(file, "re");
    if (bio == NULL)
        return strerror(errno);
    for (size_t i = 0; i < sizeof readers / sizeof readers[0] && pkey == NULL; i++) {
        (void)BIO_reset(bio);
        pkey = readers[i](bio);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (pkey == NULL)
        return "there is no certificate and no public key in it";
    /* Encodes the key again, as immured does, so that the id does not depend on the encoding in the
     * certificate. */
    int length = i2d_PUBKEY(pkey, &spki);
    EVP_PKEY_free(pkey);
    if (length <= 0 || length > IMMURE_SPKI_MAX) {
        OPENSSL_free(spki);
        return "its public key is of a kind that immured does not take";
    }
    bool taken = public_key_take(key, spki, (size_t)length);
    OPENSSL_free(spki);
    return taken ? NULL : "out of memory";
}

void public_key_free(struct public_key *key)
{
    OPENSSL_free(key->spki);
    EVP_PKEY_free(key->pkey);
    *key = (struct public_key){0};
}

const char public_keys_taken[] = "RSA and RSA-PSS of 2048 to 8192 bits, P-256, P-384, P-521, "
                                 "Ed25519, ML-DSA-44, ML-DSA-65 and ML-DSA-87";

bool public_key_is_taken(const struct public_key *key)
{
    static const char *const types[] = {"P-256",     "P-384",     "P-521",    "Ed25519",
                                        "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"};
    if (key->pkey == NULL)
        return false;
    if (EVP_PKEY_is_a(key->pkey, "RSA") || EVP_PKEY_is_a(key->pkey, "RSA-PSS")) {
        int bits = EVP_PKEY_get_bits(key->pkey);
        return bits >= WIRE_RSA_BITS_MIN && bits <= WIRE_RSA_BITS_MAX;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(key->type, types[i]) == 0)
            return true;
    return false;
}

bool public_key_same(const struct public_key *one, const struct public_key *other)
{
    return one->spki_length == other->spki_length &&
           memcmp(one->spki, other->spki, one->spki_length) == 0;
}

bool public_key_takes_tls13(const struct public_key *key, uint16_t code)
{
    const struct wire_scheme *scheme = wire_scheme_find(code);
    if (scheme == NULL || !scheme->tls13)
        return false;
    return scheme->tls13_group == NULL || strcmp(key->type, scheme->tls13_group) == 0;
}

static bool set_padding(EVP_PKEY_CTX *context, const struct wire_scheme *scheme)
{
    return !scheme->pss || (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
                            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

bool public_key_verifies(const struct public_key *key, uint16_t code, const uint8_t *message,
                         size_t message_length, const uint8_t *signature, size_t signature_length)
{
    const struct wire_scheme *scheme = wire_scheme_find(code);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_PKEY_CTX *context; /* the digest's */
    bool good = scheme != NULL && digest != NULL && key->pkey != NULL &&
                EVP_DigestVerifyInit_ex(digest, &context, scheme->digest, NULL, NULL, key->pkey,
                                        NULL) == 1 &&
                set_padding(context, scheme) &&
                EVP_DigestVerify(digest, signature, signature_length, message, message_length) == 1;
    EVP_MD_CTX_free(digest);
    ERR_clear_error();
    return good;
}
