/* RSA key exchange inside immured: what comes out of good and of bad ciphertexts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "keyd/decrypt.h"

#define MODULUS 256

static struct key key;

static int set_up(void **state)
{
    (void)state;
    key.pair = EVP_RSA_gen(8 * MODULUS);
    key.signature_max = MODULUS;
    return key.pair != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(key.pair);
    return 0;
}

static void encrypt(int padding, const uint8_t *plain, size_t length, uint8_t ciphertext[MODULUS])
{
    size_t made = MODULUS;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key.pair, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, padding), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, ciphertext, &made, plain, length), 1);
    EVP_PKEY_CTX_free(context);
}

static void decrypt(const uint8_t *ciphertext, size_t length, uint16_t version,
                    uint8_t premaster[WIRE_PREMASTER_SIZE])
{
    struct job *job = job_new(&key, NULL, ciphertext, length);
    assert_non_null(job);
    assert_int_equal(job->operation, JOB_DECRYPT);
    job->client_version = version;
    decrypt_run(job);
    assert_int_equal(job->error, IMMURE_OK);
    assert_int_equal(job->signature_length, WIRE_PREMASTER_SIZE);
    assert_int_equal(ERR_peek_error(), 0);
    memcpy(premaster, job->signature, WIRE_PREMASTER_SIZE);
    job_free(job);
}

static void test_premaster_secret(void **state)
{
    (void)state;
    uint8_t secret[WIRE_PREMASTER_SIZE] = {3, 3, 1, 2, 3}, ciphertext[MODULUS];
    uint8_t premaster[WIRE_PREMASTER_SIZE];
    encrypt(RSA_PKCS1_PADDING, secret, sizeof secret, ciphertext);
    decrypt(ciphertext, MODULUS, 0x0303, premaster);
    assert_memory_equal(premaster, secret, sizeof secret);
}

/* Each time another one, that has nothing to do with what was encrypted. */
static void assert_random(const uint8_t *ciphertext, size_t length, uint16_t version,
                          const uint8_t *secret)
{
    uint8_t first[WIRE_PREMASTER_SIZE], second[WIRE_PREMASTER_SIZE];
    decrypt(ciphertext, length, version, first);
    decrypt(ciphertext, length, version, second);
    assert_memory_not_equal(first, second, WIRE_PREMASTER_SIZE);
    assert_memory_not_equal(first, secret, WIRE_PREMASTER_SIZE);
}

static void test_implicit_rejection(void **state)
{
    (void)state;
    uint8_t secret[MODULUS] = {3, 3, 1, 2, 3}, ciphertext[MODULUS];
    encrypt(RSA_PKCS1_PADDING, secret, WIRE_PREMASTER_SIZE, ciphertext);
    assert_random(ciphertext, MODULUS, 0x0302, secret); /* rolled back */
    assert_random(ciphertext, MODULUS - 1, 0x0303, secret);
    encrypt(RSA_PKCS1_PADDING, secret, WIRE_PREMASTER_SIZE - 1, ciphertext);
    assert_random(ciphertext, MODULUS, 0x0303, secret);
    encrypt(RSA_PKCS1_PADDING, secret, WIRE_PREMASTER_SIZE + 1, ciphertext);
    assert_random(ciphertext, MODULUS, 0x0303, secret);
    encrypt(RSA_PKCS1_OAEP_PADDING, secret, WIRE_PREMASTER_SIZE, ciphertext);
    assert_random(ciphertext, MODULUS, 0x0303, secret);
    secret[0] = 0; /* no padding at all */
    encrypt(RSA_NO_PADDING, secret, MODULUS, ciphertext);
    assert_random(ciphertext, MODULUS, 0x0303, secret);
    memset(ciphertext, 0xff, MODULUS); /* not below the modulus */
    assert_random(ciphertext, MODULUS, 0x0303, secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_premaster_secret),
        cmocka_unit_test(test_implicit_rejection),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
