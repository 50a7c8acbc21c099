#include "provider_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "immure/reference.h"
#include "provider/provider.h"

struct fake_key keys[KEY_COUNT];
X509 *certificates[KEY_COUNT];
OSSL_LIB_CTX *context;

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
    assert_true(X509_sign(certificate, key, digest) > 0);
    return certificate;
}

int fixture_make(void **state)
{
    (void)state;
    fake_key_make(&keys[RSA_2048], "RSA-2048", "RSA", NULL, 2048);
    fake_key_make(&keys[P_256], "P-256", "EC", "P-256", 0);
    fake_key_make(&keys[P_384], "P-384", "EC", "P-384", 0);
    fake_key_make(&keys[P_521], "P-521", "EC", "P-521", 0);
    fake_key_make(&keys[ED_25519], "Ed25519", "ED25519", NULL, 0);
    fake_key_make_pss(&keys[PSS_2048], "RSA-PSS", NULL);
    fake_key_make_pss(&keys[PSS_SHA256], "RSA-PSS with SHA-256", "SHA256");
    for (size_t i = 0; i < KEY_COUNT; i++)
        certificates[i] = make_certificate(keys[i].private);
    context = immure_openssl_context();
    assert_non_null(context);
    return 0;
}

int fixture_free(void **state)
{
    (void)state;
    immure_openssl_context_free(context);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        fake_key_release(&keys[i]);
        X509_free(certificates[i]);
    }
    return 0;
}

X509 *certificate_in_context(size_t key)
{
    uint8_t *der = NULL;
    int length = i2d_X509(certificates[key], &der);
    const uint8_t *end = der;
    X509 *certificate = X509_new_ex(context, IMMURE_OPENSSL_PROPERTIES);
    assert_non_null(d2i_X509(&certificate, &end, length));
    OPENSSL_free(der);
    return certificate;
}

EVP_PKEY *key_in_context(size_t key)
{
    EVP_PKEY *made = immure_openssl_key(context, keys[key].spki, keys[key].spki_length);
    assert_non_null(made);
    return made;
}

char *reference_text(const struct fake_key *key, const char *socket)
{
    struct immure_reference reference = {.spki = key->spki, .spki_length = key->spki_length};
    char *text = malloc(IMMURE_REFERENCE_PEM_SIZE);
    snprintf(reference.socket, sizeof reference.socket, "%s", socket);
    memcpy(reference.key_id, key->id, sizeof reference.key_id);
    assert_int_equal(immure_reference_write_pem(&reference, text), IMMURE_REFERENCE_OK);
    return text;
}

EVP_PKEY *key_from_text(OSSL_LIB_CTX *in, const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key =
        PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL, in, IMMURE_OPENSSL_PROPERTIES);
    BIO_free(bio);
    return key;
}

EVP_PKEY *key_from_reference(OSSL_LIB_CTX *in, const struct fake_key *key, const char *socket)
{
    char *text = reference_text(key, socket);
    EVP_PKEY *made = key_from_text(in, text);
    free(text);
    assert_non_null(made);
    return made;
}

static void load_config(OSSL_LIB_CTX *in, const char *module, const char *lines)
{
    char path[] = "/tmp/immure-test-openssl.XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    dprintf(file,
            "openssl_conf = init\n[init]\nproviders = providers\n[providers]\n"
            "default = default_section\nimmure = immure_section\n"
            "[default_section]\nactivate = 1\n[immure_section]\n%s%s\nactivate = 1\n%s\n",
            module != NULL ? "module = " : "", module != NULL ? module : "", lines);
    close(file);
    assert_int_equal(OSSL_LIB_CTX_load_config(in, path), 1);
    unlink(path);
}

OSSL_LIB_CTX *context_with_settings(const char *lines)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
    assert_int_equal(OSSL_PROVIDER_add_builtin(made, "immure", provider_init), 1);
    load_config(made, NULL, lines);
    return made;
}

OSSL_LIB_CTX *context_with_module(const char *module, const char *lines)
{
    OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
    load_config(made, module, lines);
    return made;
}

size_t sign_with(OSSL_LIB_CTX *in, EVP_PKEY *key, const char *digest, const uint8_t *message,
                 size_t length, uint8_t signature[IMMURE_SIGNATURE_MAX])
{
    size_t made = IMMURE_SIGNATURE_MAX;
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    bool good = EVP_DigestSignInit_ex(signing, NULL, digest, in, NULL, key, NULL) == 1 &&
                EVP_DigestSign(signing, signature, &made, message, length) == 1;
    EVP_MD_CTX_free(signing);
    return good ? made : 0;
}

bool signs_well(OSSL_LIB_CTX *in, EVP_PKEY *key, const struct fake_key *verifier)
{
    static const uint8_t message[] = "a message";
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    const char *digest = EVP_PKEY_is_a(verifier->private, "ED25519") ? NULL : "SHA256";
    size_t length = sign_with(in, key, digest, message, sizeof message, signature);
    EVP_MD_CTX *verifying = EVP_MD_CTX_new();
    bool good = length > 0 &&
                EVP_DigestVerifyInit_ex(verifying, NULL, digest, NULL, NULL, verifier->private,
                                        NULL) == 1 &&
                EVP_DigestVerify(verifying, signature, length, message, sizeof message) == 1;
    EVP_MD_CTX_free(verifying);
    return good;
}

bool error_queue_has(const char *text)
{
    unsigned long error;
    bool found = false;
    while ((error = ERR_get_error()) != 0) {
        const char *reason = ERR_reason_error_string(error);
        found = found || (reason != NULL && strcmp(reason, text) == 0);
    }
    return found;
}
