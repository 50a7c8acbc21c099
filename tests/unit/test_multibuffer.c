/* The driver `multibuffer` with every crypto_mb that is installed, and with the stand-in: each
 * algorithm with each number of jobs, with mixed keys and schemes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "keyd/driver/multibuffer/lanes.h"
#include "multibuffer_fixture.h"

#define STACK_SEARCHED (64 * 1024)
#define DIGIT 0xfffffffffffffu

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    fixture_make(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_free(&fixture);
    return 0;
}

/* The library that the test's initial state names: its path, or a soname. */
static int open_library(void **state)
{
    fixture_open(&fixture, *state);
    return 0;
}

static int close_library(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

static void need(enum algorithm algorithm)
{
    if (fixture.opened && fixture_serves(&fixture, algorithm))
        return;
    print_message("SKIPPED: %s\n", fixture.opened ? "not offered by this library" : fixture.reason);
    skip();
}

static void sign(struct batch *batch)
{
    signer_sign_by(&fixture.signer, &fixture.multibuffer, batch->jobs, batch->count);
}

static void assert_all_good(const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        assert_int_equal(batch->jobs[i]->error, IMMURE_OK);
        assert_false(batch->jobs[i]->signed_again);
        assert_ptr_equal(batch->jobs[i]->driver, &fixture.multibuffer);
        assert_true(signature_good(batch->jobs[i]));
    }
}

static void sign_every_count(enum algorithm algorithm)
{
    need(algorithm);
    for (size_t count = 1; count <= LANES_WIDTH; count++) {
        struct batch batch;
        batch_make(&batch, &fixture, algorithm, count);
        sign(&batch);
        assert_all_good(&batch);
        batch_free(&batch);
    }
}

static void test_rsa_2048(void **state)
{
    (void)state;
    sign_every_count(RSA_2048);
}

static void test_rsa_3072(void **state)
{
    (void)state;
    sign_every_count(RSA_3072);
}

static void test_rsa_4096(void **state)
{
    (void)state;
    sign_every_count(RSA_4096);
}

static void test_p256(void **state)
{
    (void)state;
    sign_every_count(P256);
}

static void test_p384(void **state)
{
    (void)state;
    sign_every_count(P384);
}

static void test_ed25519(void **state)
{
    (void)state;
    sign_every_count(ED25519);
}

static BIGNUM *signature_r(const struct job *job)
{
    const uint8_t *der = job->result;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)job->result_length);
    assert_non_null(signature);
    BIGNUM *r = BN_dup(ECDSA_SIG_get0_r(signature));
    assert_non_null(r);
    ECDSA_SIG_free(signature);
    return r;
}

/* Signs one message twice with one key, in one batch and in two: an equal r would reveal the
 * key. */
static void test_no_nonce_twice(void **state)
{
    (void)state;
    need(P256);
    const struct wire_scheme *scheme = wire_scheme_find(IMMURE_ECDSA_SHA256);
    BIGNUM *seen[2 * LANES_WIDTH];
    size_t count = 0;
    while (count < 2 * LANES_WIDTH) {
        struct batch batch = {.count = 0};
        for (size_t i = 0; i < LANES_WIDTH; i++)
            batch_add(&batch, &fixture.keys[P256][0], scheme, "same", 4);
        sign(&batch);
        assert_all_good(&batch);
        for (size_t i = 0; i < LANES_WIDTH; i++)
            seen[count++] = signature_r(batch.jobs[i]);
        batch_free(&batch);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(BN_cmp(seen[i], seen[j]), 0);
    for (size_t i = 0; i < count; i++)
        BN_free(seen[i]);
}

/* A digest larger than the group's order. It goes directly to the driver, because no message with
 * such a digest is known. */
static void test_largest_digest(void **state)
{
    (void)state;
    need(P256);
    for (enum algorithm algorithm = P256; algorithm <= P384; algorithm++) {
        struct batch batch = {.count = 0};
        batch_add(&batch, &fixture.keys[algorithm][0], wire_scheme_find(IMMURE_ECDSA_SHA512), "",
                  0);
        struct job *job = batch.jobs[0];
        memset(job->digest, 0xff, job->digest_length = 64);
        fixture.multibuffer.sign(&fixture.multibuffer, fixture.signer.states[1], batch.jobs, 1);
        assert_int_equal(job->error, IMMURE_OK);
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(job->key->pair, NULL);
        assert_int_equal(EVP_PKEY_verify_init(context), 1);
        assert_int_equal(EVP_PKEY_verify(context, job->result, job->result_length, job->digest,
                                         job->digest_length),
                         1);
        EVP_PKEY_CTX_free(context);
        batch_free(&batch);
    }
}

/* Whether the stack below the caller holds this number. */
__attribute__((noinline, no_sanitize("address"))) static bool found_below(uint64_t secret)
{
    uint64_t below[STACK_SEARCHED / sizeof(uint64_t)];
    __asm__ volatile("" : "+m"(below));
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++)
        if (below[i] == secret)
            return true;
    return false;
}

static bool all_zero(const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;
    uint8_t any = 0;
    for (size_t i = 0; i < length; i++)
        any |= byte[i];
    return any == 0;
}

/* No intermediate values remain, neither in the thread's memory nor on the stack, where the lanes
 * hold numbers in digits of 52 bits. */
static void test_nothing_left(void **state)
{
    (void)state;
    need(P256);
    for (enum algorithm algorithm = 0; algorithm < ALGORITHMS; algorithm++) {
        if (!fixture_serves(&fixture, algorithm))
            continue;
        const struct lanes_thread *thread = fixture.signer.states[1];
        struct batch batch;
        for (size_t i = 0; i < KEYS_EACH; i++) { /* full, and by halves */
            const struct lanes_key *lanes = fixture.keys[algorithm][i].prepared;
            batch_make(&batch, &fixture, algorithm, LANES_WIDTH / (i + 1));
            sign(&batch);
            uint64_t digit = algorithm <= RSA_4096 ? lanes->rsa.p[0] : lanes->ec[0];
            assert_false(found_below(digit));
            assert_false(found_below(digit & DIGIT));
            assert_true(all_zero(thread->work, sizeof *thread->work));
            batch_free(&batch);
        }
    }
}

/* Halves and the whole private operation give the same result, because PKCS #1 v1.5 is
 * deterministic. */
static void test_halves_make_the_same(void **state)
{
    (void)state;
    need(RSA_2048);
    const struct wire_scheme *scheme = wire_scheme_find(IMMURE_RSA_PKCS1_SHA256);
    for (enum algorithm algorithm = RSA_2048; algorithm <= RSA_4096; algorithm++) {
        const struct key *key = &fixture.keys[algorithm][0];
        size_t step = fixture.multibuffer.small_width(key);
        assert_int_equal(step, algorithm == RSA_3072 ? LANES_WIDTH : LANES_WIDTH / 2);
        struct batch whole = {.count = 0}, part = {.count = 0};
        for (size_t i = 0; i < LANES_WIDTH; i++)
            batch_add(&whole, key, scheme, "a message", i);
        for (size_t i = 0; i < step; i++)
            batch_add(&part, key, scheme, "a message", i);
        sign(&whole);
        sign(&part);
        assert_all_good(&part);
        for (size_t i = 0; i < step; i++)
            assert_memory_equal(part.jobs[i]->result, whole.jobs[i]->result, key->signature_max);
        batch_free(&whole);
        batch_free(&part);
    }
}

static void test_keys_not_served(void **state)
{
    (void)state;
    need(RSA_2048);
    struct key p521 = fixture_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521"), WIRE_KEY_EC, 0);
    assert_int_equal(fixture.multibuffer.width(&fixture.multibuffer, &p521), 0);
    key_free_halves(&p521);

    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    unsigned exponent = 3;
    unsigned bits = 2048;
    OSSL_PARAM parameters[] = {OSSL_PARAM_uint(OSSL_PKEY_PARAM_RSA_BITS, &bits),
                               OSSL_PARAM_uint(OSSL_PKEY_PARAM_RSA_E, &exponent), OSSL_PARAM_END};
    EVP_PKEY *pair = NULL;
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(context, parameters), 1);
    assert_int_equal(EVP_PKEY_generate(context, &pair), 1);
    EVP_PKEY_CTX_free(context);
    struct key small = fixture_key(pair, WIRE_KEY_RSA, 0);
    assert_false(fixture.multibuffer.key_prepare(&fixture.multibuffer, &small));
    assert_null(small.prepared);
    key_free_halves(&small);
}

/* libcrypto makes keys with the larger prime first; others do not. */
static EVP_PKEY *swap_primes(const EVP_PKEY *pair)
{
    static const char *const from[] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR2,
        OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_EXPONENT2,
        OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    static const char *const to[] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    enum { P = 3, Q = 4, IQ = 7, NUMBERS = 8 };
    BIGNUM *numbers[NUMBERS] = {NULL};
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BN_CTX *bn = BN_CTX_new();
    for (size_t i = 0; i < NUMBERS; i++)
        assert_int_equal(EVP_PKEY_get_bn_param(pair, from[i], &numbers[i]), 1);
    assert_non_null(BN_mod_inverse(numbers[IQ], numbers[Q], numbers[P], bn));
    for (size_t i = 0; i < NUMBERS; i++)
        assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, to[i], numbers[i]), 1);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *swapped = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &swapped, EVP_PKEY_KEYPAIR, parameters), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    for (size_t i = 0; i < NUMBERS; i++)
        BN_free(numbers[i]);
    BN_CTX_free(bn);
    return swapped;
}

static void test_smaller_prime_first(void **state)
{
    (void)state;
    need(RSA_2048);
    struct key key = fixture_key(swap_primes(fixture.keys[RSA_2048][0].pair), WIRE_KEY_RSA, 0);
    assert_true(fixture.multibuffer.key_prepare(&fixture.multibuffer, &key));
    for (size_t count = LANES_WIDTH; count > 0; count /= 2) {
        struct batch batch = {.count = 0};
        for (size_t i = 0; i < count; i++)
            batch_add(&batch, &key, wire_scheme_find(IMMURE_RSA_PSS_RSAE_SHA256), "message", i);
        sign(&batch);
        assert_all_good(&batch);
        batch_free(&batch);
    }
    key_release(&key);
    key_free_halves(&key);
}

#define TESTS(library)                                                                             \
    {"RSA-2048 " library, test_rsa_2048, open_library, close_library, (void *)library},            \
        {"RSA-3072 " library, test_rsa_3072, open_library, close_library, (void *)library},        \
        {"RSA-4096 " library, test_rsa_4096, open_library, close_library, (void *)library},        \
        {"P-256 " library, test_p256, open_library, close_library, (void *)library},               \
        {"P-384 " library, test_p384, open_library, close_library, (void *)library},               \
        {"Ed25519 " library, test_ed25519, open_library, close_library, (void *)library},          \
        {"no nonce twice " library, test_no_nonce_twice, open_library, close_library,              \
         (void *)library},                                                                         \
        {"largest digest " library, test_largest_digest, open_library, close_library,              \
         (void *)library},                                                                         \
        {"nothing left " library, test_nothing_left, open_library, close_library,                  \
         (void *)library},                                                                         \
        {"halves make the same " library, test_halves_make_the_same, open_library, close_library,  \
         (void *)library},                                                                         \
        {"keys not served " library, test_keys_not_served, open_library, close_library,            \
         (void *)library},                                                                         \
    {                                                                                              \
        "smaller prime first " library, test_smaller_prime_first, open_library, close_library,     \
            (void *)library                                                                        \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS(STAND_IN), TESTS("libcrypto_mb.so.11"),
                                       TESTS("libcrypto_mb.so.13")};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
