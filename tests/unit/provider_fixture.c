#include "provider_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>

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
