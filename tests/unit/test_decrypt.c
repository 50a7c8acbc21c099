/* RSA key exchange inside immured: the secrets that good and bad ciphertexts yield. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "keyd/sign/decrypt.h"

#define MODULUS 256

static struct key key;

/* The memory whose free() is watched; NULL: none, or it was wiped before it was freed. */
static uint8_t *freed;
static size_t freed_size;

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    if (memory != NULL && memory == freed) {
        for (size_t i = 0; i < freed_size; i++)
            assert_int_equal(freed[i], 0);
        freed = NULL;
    }
    __real_free(memory);
}

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
    assert_int_equal(job->result_length, WIRE_PREMASTER_SIZE);
    assert_int_equal(ERR_peek_error(), 0);
    memcpy(premaster, job->result, WIRE_PREMASTER_SIZE);
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

/* Checks that a bad ciphertext yields a pseudo-random secret, the same for `key` each time. */
static void assert_rejected(const uint8_t *ciphertext, size_t length, uint16_t version,
                            const uint8_t *secret)
{
    const uint8_t begin[] = {(uint8_t)(version >> 8), (uint8_t)version};
    uint8_t first[WIRE_PREMASTER_SIZE], second[WIRE_PREMASTER_SIZE], other[WIRE_PREMASTER_SIZE];
    decrypt(ciphertext, length, version, first);
    decrypt(ciphertext, length, version, second);
    assert_memory_equal(first, second, WIRE_PREMASTER_SIZE);
    assert_memory_equal(first, begin, sizeof begin);
    assert_memory_not_equal(first + sizeof begin, secret + sizeof begin,
                            WIRE_PREMASTER_SIZE - sizeof begin);
    /* another version must give another secret: an unchanged one would reveal a bad ciphertext */
    decrypt(ciphertext, length, version ^ 3, other);
    assert_memory_not_equal(first + sizeof begin, other + sizeof begin,
                            WIRE_PREMASTER_SIZE - sizeof begin);
}

static void test_implicit_rejection(void **state)
{
    (void)state;
    uint8_t secret[MODULUS] = {3, 3, 1, 2, 3}, ciphertext[MODULUS];
    encrypt(RSA_PKCS1_PADDING, secret, WIRE_PREMASTER_SIZE, ciphertext);
    assert_rejected(ciphertext, MODULUS, 0x0302, secret); /* a version rollback */
    assert_rejected(ciphertext, MODULUS - 1, 0x0303, secret);
    encrypt(RSA_PKCS1_PADDING, secret, WIRE_PREMASTER_SIZE - 1, ciphertext);
    assert_rejected(ciphertext, MODULUS, 0x0303, secret);
    encrypt(RSA_PKCS1_PADDING, secret, WIRE_PREMASTER_SIZE + 1, ciphertext);
    assert_rejected(ciphertext, MODULUS, 0x0303, secret);
    encrypt(RSA_PKCS1_OAEP_PADDING, secret, WIRE_PREMASTER_SIZE, ciphertext);
    assert_rejected(ciphertext, MODULUS, 0x0303, secret);
    secret[0] = 0; /* no padding at all */
    encrypt(RSA_NO_PADDING, secret, MODULUS, ciphertext);
    assert_rejected(ciphertext, MODULUS, 0x0303, secret);
    memset(ciphertext, 0xff, MODULUS); /* not below the modulus */
    assert_rejected(ciphertext, MODULUS, 0x0303, secret);
}

/* Valid PKCS #1 padding, then 48 bytes that are not a premaster secret of this version, as in a
 * message of some other protocol. */
static void test_other_plaintext(void **state)
{
    (void)state;
    uint8_t plain[WIRE_PREMASTER_SIZE], ciphertext[MODULUS];
    memset(plain, 'x', sizeof plain);
    encrypt(RSA_PKCS1_PADDING, plain, sizeof plain, ciphertext);
    assert_rejected(ciphertext, MODULUS, 0x0303, plain);
}

static EVP_PKEY *read_again(const EVP_PKEY *pair)
{
    uint8_t *der = NULL;
    int length = i2d_PrivateKey(pair, &der);
    EVP_PKEY *copy = d2i_AutoPrivateKey(NULL, &(const uint8_t *){der}, length);
    OPENSSL_free(der);
    assert_non_null(copy);
    return copy;
}

/* The reply depends on the whole key, and not on the process. */
static void test_answer_is_the_keys(void **state)
{
    (void)state;
    uint8_t ciphertext[MODULUS], before[WIRE_PREMASTER_SIZE], after[WIRE_PREMASTER_SIZE];
    memset(ciphertext, 1, sizeof ciphertext);
    decrypt(ciphertext, MODULUS, 0x0303, before);
    EVP_PKEY *pair = key.pair;
    key.pair = read_again(pair);
    decrypt(ciphertext, MODULUS, 0x0303, after);
    assert_memory_equal(before, after, sizeof before);
    EVP_PKEY_free(key.pair);
    key.pair = EVP_RSA_gen(8 * MODULUS);
    decrypt(ciphertext, MODULUS, 0x0303, after);
    assert_memory_not_equal(before + 2, after + 2, sizeof before - 2);
    EVP_PKEY_free(key.pair);
    key.pair = pair;
}

/* Freeing a job wipes the decrypted secret. */
static void test_wiped(void **state)
{
    (void)state;
    uint8_t secret[WIRE_PREMASTER_SIZE] = {3, 3, 1, 2, 3}, ciphertext[MODULUS];
    encrypt(RSA_PKCS1_PADDING, secret, sizeof secret, ciphertext);
    uint8_t *bytes = (uint8_t *)job_new(&key, NULL, ciphertext, MODULUS);
    struct job *job = (struct job *)bytes;
    job->client_version = 0x0303;
    decrypt_run(job);
    assert_memory_equal(job->result, secret, sizeof secret);
    freed = bytes;
    freed_size = sizeof *job + 2 * MODULUS;
    job_free(job);
    assert_null(freed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_premaster_secret),
        cmocka_unit_test(test_implicit_rejection),
        cmocka_unit_test(test_other_plaintext),
        cmocka_unit_test(test_answer_is_the_keys),
        cmocka_unit_test(test_wiped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
