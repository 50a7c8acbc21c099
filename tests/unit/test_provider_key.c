/* What OpenSSL can learn about a key, and what it can request to be signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
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

/* Whether a signature with these parameters is requested; 0: not set. */
static bool asks(size_t key, const char *digest, int padding, int salt)
{
    EVP_PKEY *private = key_in_context(key);
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params;
    const uint8_t message[] = {1};
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t length = 0;
    bool asked = false;
    ERR_clear_error();
    if (EVP_DigestSignInit_ex(signing, &params, digest, context, NULL, private, NULL) != 1) {
        assert_true(error_queue_has("no TLS SignatureScheme for this digest and padding"));
    } else if (!set_rsa_params(params, padding, salt)) {
        assert_true(error_queue_has("a parameter that no TLS SignatureScheme has"));
    } else {
        /* Asking for the length alone sends no request, and so needs no waiter. */
        assert_int_equal(EVP_DigestSign(signing, NULL, &length, message, sizeof message), 1);
        assert_int_equal(length, EVP_PKEY_get_size(private));
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_not_equal(EVP_DigestSign(signing, signature, &length, message, sizeof message),
                             1);
        asked = error_queue_has("no waiter was entered on this thread, and no socket is known");
        assert_true(asked);
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
    assert_false(asks(P_256, "SHA224", 0, 0));
    assert_true(asks(ED_25519, NULL, 0, 0));
    assert_false(asks(ED_25519, "SHA256", 0, 0));
    assert_true(asks(PSS_2048, "SHA512", 0, 0));
    assert_false(asks(PSS_2048, "SHA512", RSA_PKCS1_PADDING, 0));
    assert_true(asks(PSS_SHA256, "SHA256", 0, 0));
    assert_false(asks(PSS_SHA256, "SHA384", 0, 0));
    assert_false(asks(PSS_SHA256, "SHA512", RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST));
}

/* Signs with the ordinary key, with its own digest and, for PSS, TLS's salt length. */
static size_t sign_ordinarily(size_t key, EVP_PKEY_CTX **params, EVP_MD_CTX *signing, bool pss,
                              uint8_t signature[IMMURE_SIGNATURE_MAX], const char *message)
{
    const char *digest = key == ED_25519 ? NULL : "SHA256";
    size_t length = IMMURE_SIGNATURE_MAX;
    assert_int_equal(
        EVP_DigestSignInit_ex(signing, params, digest, NULL, NULL, keys[key].private, NULL), 1);
    if (pss)
        assert_true(set_rsa_params(*params, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST));
    assert_int_equal(
        EVP_DigestSign(signing, signature, &length, (const uint8_t *)message, strlen(message)), 1);
    return length;
}

static bool is_pss(size_t key)
{
    return key == PSS_2048 || key == PSS_SHA256;
}

/* Whether the reference of the key verifies a signature of "a message" as one of `message`. */
static bool verifies(size_t key, const char *message, bool pieces)
{
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    EVP_MD_CTX *signing = EVP_MD_CTX_new(), *verifying = EVP_MD_CTX_new(), *copy = EVP_MD_CTX_new();
    EVP_PKEY *reference = key_in_context(key);
    EVP_PKEY_CTX *params;
    const char *digest = key == ED_25519 ? NULL : "SHA256";
    size_t length = sign_ordinarily(key, &params, signing, is_pss(key), signature, "a message");
    const uint8_t *bytes = (const uint8_t *)message;
    assert_int_equal(
        EVP_DigestVerifyInit_ex(verifying, &params, digest, context, NULL, reference, NULL), 1);
    if (is_pss(key))
        assert_true(set_rsa_params(params, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST));
    bool good;
    if (pieces) {
        assert_int_equal(EVP_DigestVerifyUpdate(verifying, bytes, 2), 1);
        assert_int_equal(EVP_MD_CTX_copy_ex(copy, verifying), 1);
        assert_int_equal(EVP_DigestVerifyUpdate(copy, bytes + 2, strlen(message) - 2), 1);
        good = EVP_DigestVerifyFinal(copy, signature, length) == 1;
    } else {
        good = EVP_DigestVerify(verifying, signature, length, bytes, strlen(message)) == 1;
    }
    ERR_clear_error();
    EVP_MD_CTX_free(copy);
    EVP_MD_CTX_free(verifying);
    EVP_MD_CTX_free(signing);
    EVP_PKEY_free(reference);
    return good;
}

static void test_verifies_with_the_public_half(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        assert_true(verifies(i, "a message", false));
        assert_false(verifies(i, "a massage", false));
        if (i != ED_25519) {
            assert_true(verifies(i, "a message", true));
            assert_false(verifies(i, "a massage", true));
        }
    }
}

static void test_verifies_a_digest(void **state)
{
    (void)state;
    static const size_t types[] = {RSA_2048, P_256};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        uint8_t signature[IMMURE_SIGNATURE_MAX], digest[32], recovered[IMMURE_SIGNATURE_MAX];
        size_t recovered_length = sizeof recovered;
        EVP_MD_CTX *signing = EVP_MD_CTX_new();
        EVP_PKEY *key = key_in_context(types[i]);
        EVP_PKEY_CTX *params, *verifying = EVP_PKEY_CTX_new_from_pkey(context, key, NULL);
        size_t length = sign_ordinarily(types[i], &params, signing, false, signature, "a message");
        assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, "a message", 9, digest, NULL), 1);
        assert_int_equal(EVP_PKEY_verify_init(verifying), 1);
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(verifying, EVP_sha256()), 1);
        EVP_PKEY_CTX *copy = EVP_PKEY_CTX_dup(verifying);
        assert_int_equal(EVP_PKEY_verify(copy, signature, length, digest, sizeof digest), 1);
        digest[0] ^= 1;
        assert_int_not_equal(EVP_PKEY_verify(verifying, signature, length, digest, sizeof digest),
                             1);
        digest[0] ^= 1;
        if (types[i] == RSA_2048) {
            assert_int_equal(EVP_PKEY_verify_recover_init(verifying), 1);
            assert_int_equal(EVP_PKEY_CTX_set_signature_md(verifying, EVP_sha256()), 1);
            assert_int_equal(
                EVP_PKEY_verify_recover(verifying, recovered, &recovered_length, signature, length),
                1);
            assert_int_equal(recovered_length, sizeof digest);
            assert_memory_equal(recovered, digest, sizeof digest);
        }
        ERR_clear_error();
        EVP_PKEY_CTX_free(copy);
        EVP_PKEY_CTX_free(verifying);
        EVP_PKEY_free(key);
        EVP_MD_CTX_free(signing);
    }
}

static size_t algorithm_of(EVP_PKEY_CTX *params, uint8_t algorithm[128])
{
    OSSL_PARAM asked[] = {
        OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, algorithm, 128),
        OSSL_PARAM_construct_end()};
    assert_int_equal(EVP_PKEY_CTX_get_params(params, asked), 1);
    return algorithm[1] + 2U; /* DER of less than 128 bytes */
}

/* The algorithm identifier for an X.509 structure, which is needed before the signature is made. */
static void test_algorithm_identifiers(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        for (int pss = is_pss(i); pss <= (i == RSA_2048 || is_pss(i)); pss++) {
            uint8_t signature[IMMURE_SIGNATURE_MAX], wanted[128] = {0}, made[128] = {0};
            EVP_MD_CTX *ordinary = EVP_MD_CTX_new(), *ours = EVP_MD_CTX_new();
            EVP_PKEY *key = key_in_context(i);
            EVP_PKEY_CTX *params;
            sign_ordinarily(i, &params, ordinary, pss != 0, signature, "a message");
            size_t length = algorithm_of(params, wanted);
            assert_int_equal(EVP_DigestSignInit_ex(ours, &params, i == ED_25519 ? NULL : "SHA256",
                                                   context, NULL, key, NULL),
                             1);
            if (pss != 0)
                assert_true(set_rsa_params(params, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST));
            assert_int_equal(algorithm_of(params, made), length);
            assert_memory_equal(made, wanted, length);
            EVP_PKEY_free(key);
            EVP_MD_CTX_free(ours);
            EVP_MD_CTX_free(ordinary);
        }
    }
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_parameters(void **state)
{
    (void)state;
    EVP_PKEY *key = key_in_context(RSA_2048);
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params;
    const EVP_MD *digest;
    int number = -100;
    assert_int_equal(EVP_DigestSignInit_ex(signing, &params, "SHA384", context, NULL, key, NULL),
                     1);
    assert_true(EVP_PKEY_CTX_get_rsa_padding(params, &number) > 0);
    assert_int_equal(number, RSA_PKCS1_PADDING);
    assert_true(set_rsa_params(params, RSA_PKCS1_PSS_PADDING, 48));
    assert_true(EVP_PKEY_CTX_get_rsa_padding(params, &number) > 0);
    assert_int_equal(number, RSA_PKCS1_PSS_PADDING);
    assert_true(EVP_PKEY_CTX_get_rsa_pss_saltlen(params, &number) > 0);
    assert_int_equal(number, 48);
    assert_int_equal(EVP_PKEY_CTX_get_signature_md(params, &digest), 1);
    assert_true(EVP_MD_is_a(digest, "SHA384"));
    assert_int_equal(ERR_peek_error(), 0);

    OSSL_PARAM unknown[] = {OSSL_PARAM_construct_int("no-such-parameter", &number),
                            OSSL_PARAM_construct_end()};
    assert_int_not_equal(EVP_PKEY_CTX_get_params(params, unknown), 1);
    assert_true(error_queue_has("a parameter that this algorithm does not have"));
    assert_int_not_equal(EVP_PKEY_CTX_set_params(params, unknown), 1);
    assert_true(error_queue_has("a parameter that no TLS SignatureScheme has"));
    EVP_MD_CTX_free(signing);
    EVP_PKEY_free(key);
}

typedef int printer(BIO *out, const EVP_PKEY *key, int indent, ASN1_PCTX *context);

static void assert_prints_alike(size_t key, printer *print)
{
    BIO *ordinary = BIO_new(BIO_s_mem()), *ours = BIO_new(BIO_s_mem());
    EVP_PKEY *reference = key_in_context(key);
    char *wanted, *made;
    assert_int_equal(print(ours, reference, 0, NULL), print(ordinary, keys[key].private, 0, NULL));
    long length = BIO_get_mem_data(ordinary, &wanted);
    assert_int_equal(BIO_get_mem_data(ours, &made), length);
    if (length > 0)
        assert_memory_equal(made, wanted, (size_t)length);
    EVP_PKEY_free(reference);
    BIO_free(ordinary);
    BIO_free(ours);
}

static void test_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        assert_prints_alike(i, EVP_PKEY_print_public);
        assert_prints_alike(i, EVP_PKEY_print_params);

        EVP_PKEY *key = key_in_context(i);
        BIO *out = BIO_new(BIO_s_mem());
        char *text;
        assert_int_equal(EVP_PKEY_print_private(out, key, 0, NULL), 1);
        BIO_write(out, "", 1);
        BIO_get_mem_data(out, &text);
        static const char place[] = "Private-Key: in immured, as key id ";
        assert_memory_equal(text, place, strlen(place));
        assert_non_null(strstr(text, i == ED_25519 ? "ED25519 Public-Key:" : "Public-Key: ("));
        BIO_free(out);

        EVP_PKEY_free(key);
        ERR_clear_error();
    }
}

/* The export that a text encoder of another provider gets when it prints only parameters. */
static void test_export_of_parameters_alone(void **state)
{
    (void)state;
    static const size_t types[] = {RSA_2048, PSS_2048, PSS_SHA256, P_256};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        EVP_PKEY *key = key_in_context(types[i]), *copy = NULL;
        OSSL_PARAM *params = NULL;
        assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_KEY_PARAMETERS, &params), 1);
        EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, EVP_PKEY_get0_type_name(key), NULL);
        assert_int_equal(EVP_PKEY_fromdata_init(maker), 1);
        int selection = types[i] == P_256 ? EVP_PKEY_KEY_PARAMETERS : EVP_PKEY_PUBLIC_KEY;
        assert_int_equal(EVP_PKEY_fromdata(maker, &copy, selection, params), 1);
        assert_int_equal(types[i] == P_256 ? EVP_PKEY_parameters_eq(copy, key)
                                           : EVP_PKEY_eq(copy, keys[types[i]].private),
                         1);
        EVP_PKEY_free(copy);
        EVP_PKEY_CTX_free(maker);
        OSSL_PARAM_free(params);
        EVP_PKEY_free(key);
    }
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
        cmocka_unit_test(test_verifies_with_the_public_half),
        cmocka_unit_test(test_verifies_a_digest),
        cmocka_unit_test(test_algorithm_identifiers),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_export_of_parameters_alone),
        cmocka_unit_test(test_no_signature_over_a_digest),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
