/* What OpenSSL may know of a key, and what may be asked to be signed with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "provider_fixture.h"

static void test_key_and_certificate_belong_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY *key = key_in_context(i);
        X509 *own = certificate_in_context(i);
        X509 *other = certificate_in_context((i + 1) % KEY_COUNT);
        assert_int_equal(X509_check_private_key(own, key), 1);
        assert_int_equal(X509_check_private_key(other, key), 0);
        assert_int_equal(EVP_PKEY_get_size(key), EVP_PKEY_get_size(keys[i].private));
        assert_int_equal(EVP_PKEY_get_bits(key), EVP_PKEY_get_bits(keys[i].private));

        SSL_CTX *server = SSL_CTX_new_ex(context, IMMURE_OPENSSL_PROPERTIES, TLS_server_method());
        assert_int_equal(SSL_CTX_use_certificate(server, own), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
        SSL_CTX_free(server);
        X509_free(own);
        X509_free(other);
        EVP_PKEY_free(key);
    }
    /* The same type, another key. */
    struct fake_key stranger;
    fake_key_make(&stranger, "stranger", "EC", "P-256", 0);
    EVP_PKEY *key = immure_openssl_key(context, stranger.spki, stranger.spki_length);
    X509 *certificate = certificate_in_context(P_256);
    assert_int_equal(X509_check_private_key(certificate, key), 0);
    SSL_CTX *server = SSL_CTX_new_ex(context, IMMURE_OPENSSL_PROPERTIES, TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
    assert_int_not_equal(SSL_CTX_use_PrivateKey(server, key), 1);
    SSL_CTX_free(server);
    X509_free(certificate);
    EVP_PKEY_free(key);
    fake_key_release(&stranger);
}

static void test_no_private_key_comes_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY *key = key_in_context(i), *copy = EVP_PKEY_dup(key);
        OSSL_PARAM *params = NULL;
        assert_int_not_equal(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 1);
        assert_null(params);
        assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params), 1);
        OSSL_PARAM_free(params);
        assert_non_null(copy);
        assert_int_equal(EVP_PKEY_eq(key, copy), 1);
        EVP_PKEY_free(copy);
        EVP_PKEY_free(key);
    }
}

static void test_bad_spki(void **state)
{
    (void)state;
    const struct fake_key *good = &keys[P_256];
    uint8_t bytes[256];
    assert_true(good->spki_length + 1 < sizeof bytes);
    memcpy(bytes, good->spki, good->spki_length);
    bytes[good->spki_length] = 0;
    for (size_t length = 0; length < good->spki_length; length++)
        assert_null(immure_openssl_key(context, bytes, length));
    assert_null(immure_openssl_key(context, bytes, good->spki_length + 1));
    assert_true(error_queue_has("not a public key of this type"));
}

static bool set_rsa_params(EVP_PKEY_CTX *params, int padding, int salt)
{
    return (padding == 0 || EVP_PKEY_CTX_set_rsa_padding(params, padding) == 1) &&
           (salt == 0 || EVP_PKEY_CTX_set_rsa_pss_saltlen(params, salt) == 1);
}

/* Whether a signature is asked for under these parameters; 0: they are not set. */
static bool asks(size_t key, const char *digest, int padding, int salt)
{
    EVP_PKEY *private = key_in_context(key);
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params;
    const uint8_t message[] = {1};
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t length = 0;
    bool asked = false;
    assert_int_equal(EVP_DigestSignInit_ex(signing, &params, digest, context, NULL, private, NULL),
                     1);
    ERR_clear_error();
    if (!set_rsa_params(params, padding, salt)) {
        assert_true(error_queue_has("a parameter that no TLS SignatureScheme has"));
    } else {
        /* The length alone asks for nothing; and there is no waiter to ask. */
        assert_int_equal(EVP_DigestSign(signing, NULL, &length, message, sizeof message), 1);
        assert_int_equal(length, EVP_PKEY_get_size(private));
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_not_equal(EVP_DigestSign(signing, signature, &length, message, sizeof message),
                             1);
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        asked = strcmp(reason, "no waiter was entered on this thread, and no socket is known") == 0;
        if (!asked)
            assert_string_equal(reason, "no TLS SignatureScheme for this digest and padding");
    }
    ERR_clear_error();
    EVP_MD_CTX_free(signing);
    EVP_PKEY_free(private);
    return asked;
}

static void test_only_tls_schemes(void **state)
{
    (void)state;
    assert_true(asks(RSA_2048, "SHA256", RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST));
    assert_true(asks(RSA_2048, "SHA2-256", RSA_PKCS1_PSS_PADDING, 32));
    assert_false(asks(RSA_2048, "SHA256", RSA_PKCS1_PSS_PADDING, 20));
    assert_false(asks(RSA_2048, "SHA256", RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_MAX));
    assert_true(asks(RSA_2048, "SHA2-384", RSA_PKCS1_PADDING, 0));
    assert_false(asks(RSA_2048, "SHA1", RSA_PKCS1_PADDING, 0));
    assert_false(asks(RSA_2048, "SHA256", RSA_NO_PADDING, 0));
    assert_true(asks(P_256, "SHA512", 0, 0));
    assert_false(asks(P_256, "SHA3-256", 0, 0));
    assert_true(asks(ED_25519, NULL, 0, 0));
}

static void test_no_signature_over_a_digest(void **state)
{
    (void)state;
    EVP_PKEY *key = key_in_context(P_256);
    EVP_PKEY_CTX *signing = EVP_PKEY_CTX_new_from_pkey(context, key, NULL);
    assert_int_not_equal(EVP_PKEY_sign_init(signing), 1);
    EVP_PKEY_CTX_free(signing);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_and_certificate_belong_together),
        cmocka_unit_test(test_no_private_key_comes_out),
        cmocka_unit_test(test_bad_spki),
        cmocka_unit_test(test_only_tls_schemes),
        cmocka_unit_test(test_no_signature_over_a_digest),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
