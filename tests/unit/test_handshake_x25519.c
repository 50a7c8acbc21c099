/* X25519 of the handshake provider: the lanes compared with OpenSSL on random and difficult keys,
 * the pool of key pairs, and the key type as applications use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handshake/fast_handshake.h"
#include "handshake/known_answers.h"
#include "handshake/lanes.h"
#include "handshake/library.h"
#include "handshake/pairs.h"
#include "handshake/plain.h"

static OSSL_LIB_CTX *context;
static OSSL_PROVIDER *standard;
static struct fast_handshake *fast;
static struct lanes lanes;
static bool has_lanes;

static int open_context(void **state)
{
    (void)state;
    char reason[256];
    context = OSSL_LIB_CTX_new();
    standard = OSSL_PROVIDER_load(context, "default");
    fast = fast_handshake_open(context, FAST_ALL);
    assert_non_null(fast);
    has_lanes = lanes_open(&lanes, reason, sizeof reason);
    assert_int_equal(fast_handshake_parts(fast), has_lanes ? FAST_ALL : FAST_KEY_SCHEDULE);
    char text[256];
    fast_handshake_describe(fast, text, sizeof text);
    assert_non_null(strstr(text, "key schedule"));
    assert_non_null(strstr(text, has_lanes ? lanes.soname : reason));
    if (!has_lanes)
        printf("SKIPPED: %s\n", text);
    return 0;
}

static int close_context(void **state)
{
    (void)state;
    fast_handshake_close(fast);
    OSSL_PROVIDER_unload(standard);
    OSSL_LIB_CTX_free(context);
    return 0;
}

#define NEEDS_LANES                                                                                \
    (void)state;                                                                                   \
    if (!has_lanes)                                                                                \
    skip()

/* ---- the lanes ---- */

/* Eight keys of peers with eight of ours; only keys that lanes_serve_key() accepts. */
struct octet {
    struct key_pair own[LANES];
    uint8_t peer[LANES][X25519_SIZE];
    size_t count;
    size_t compared, refused;
};

static void compare(struct octet *octet)
{
    uint8_t secret[LANES][X25519_SIZE], expected[X25519_SIZE];
    struct lanes_job jobs[LANES];
    for (size_t i = 0; i < octet->count; i++)
        jobs[i] = (struct lanes_job){octet->own[i].private, octet->peer[i], secret[i]};
    unsigned good = lanes_derive(&lanes, jobs, octet->count);
    for (size_t i = 0; i < octet->count; i++) {
        bool can = plain_derive(context, &octet->own[i], octet->peer[i], expected);
        ERR_clear_error();
        if ((good >> i & 1) != 0) { /* OpenSSL repeats the flagged lanes */
            assert_true(can);
            assert_memory_equal(secret[i], expected, X25519_SIZE);
        }
    }
    octet->compared += octet->count;
    octet->count = 0;
}

static void add(struct octet *octet, const uint8_t peer[X25519_SIZE])
{
    if (!lanes_serve_key(peer)) {
        octet->refused++;
        return;
    }
    memcpy(octet->peer[octet->count++], peer, X25519_SIZE);
    if (octet->count == LANES)
        compare(octet);
}

static void begin(struct octet *octet)
{
    memset(octet, 0, sizeof *octet);
    for (size_t i = 0; i < LANES; i++)
        assert_true(plain_generate(context, &octet->own[i]));
}

static void finish(struct octet *octet)
{
    if (octet->count > 0)
        compare(octet);
}

static void test_random_keys(void **state)
{
    NEEDS_LANES;
    struct octet octet;
    begin(&octet);
    for (int i = 0; i < 2000; i++) {
        uint8_t peer[X25519_SIZE];
        assert_int_equal(RAND_bytes(peer, sizeof peer), 1);
        add(&octet, peer);
        if (i % 200 == 0) {
            finish(&octet); /* fewer than eight, too */
            assert_true(plain_generate(context, &octet.own[i % LANES]));
        }
    }
    finish(&octet);
    assert_true(octet.compared > 1990); /* one in three hundred thousand is refused */
}

static void set_bits(uint8_t peer[X25519_SIZE], unsigned from, unsigned to, bool ones)
{
    for (unsigned bit = from; bit <= to; bit++)
        if (ones)
            peer[bit / 8] |= (uint8_t)(1U << bit % 8);
        else
            peer[bit / 8] &= (uint8_t) ~(1U << bit % 8);
}

/* Both known versions fail most often for runs of ones up to the top. */
static void test_runs(void **state)
{
    NEEDS_LANES;
    struct octet octet;
    begin(&octet);
    for (unsigned from = 0; from < 256; from++)
        for (unsigned to = from; to < 256; to += to >= 250 ? 1 : 7) {
            uint8_t peer[X25519_SIZE];
            assert_int_equal(RAND_bytes(peer, sizeof peer), 1);
            set_bits(peer, from, to, true);
            add(&octet, peer);
            peer[1 + from % 31] ^= (uint8_t)(1U << to % 8); /* a bit out of place */
            add(&octet, peer);
            set_bits(peer, from, to, false);
            add(&octet, peer);
        }
    finish(&octet);
    assert_true(octet.compared > 1000);
    assert_true(octet.refused > 1000);
}

/* Around the prime, zero, powers of two and the limbs of 51 and 52 bits. */
static void test_edges(void **state)
{
    NEEDS_LANES;
    struct octet octet;
    begin(&octet);
    for (unsigned bit = 0; bit < 256; bit++)
        for (int offset = -40; offset <= 40; offset++) {
            uint8_t peer[X25519_SIZE] = {0};
            peer[bit / 8] = (uint8_t)(1U << bit % 8);
            int carry = offset;
            for (size_t i = 0; i < X25519_SIZE && carry != 0; i++) {
                int sum = peer[i] + carry;
                peer[i] = (uint8_t)sum;
                carry = sum < 0 ? -1 : sum > 255 ? 1 : 0;
            }
            add(&octet, peer);
        }
    finish(&octet);
    assert_true(octet.refused > 15000);
}

/* Bytes that are mostly all ones or all zeros. */
static void test_blocks(void **state)
{
    NEEDS_LANES;
    struct octet octet;
    begin(&octet);
    for (int i = 0; i < 20000; i++) {
        uint8_t peer[X25519_SIZE], choice[X25519_SIZE];
        assert_int_equal(RAND_bytes(choice, sizeof choice), 1);
        for (size_t j = 0; j < X25519_SIZE; j++)
            peer[j] = choice[j] < 120 ? 0xff : choice[j] < 180 ? 0 : choice[j];
        add(&octet, peer);
    }
    finish(&octet);
    assert_true(octet.refused > 1000);
    assert_true(octet.compared > 1000);
}

/* Fractions modulo the prime, which become small numbers after a few steps of the ladder. */
static void test_fractions(void **state)
{
    NEEDS_LANES;
    struct octet octet;
    BN_CTX *work = BN_CTX_new();
    BIGNUM *prime = BN_new(), *number = BN_new(), *part = BN_new();
    assert_int_equal(BN_set_bit(prime, 255), 1);
    assert_int_equal(BN_sub_word(prime, 19), 1);
    begin(&octet);
    for (BN_ULONG below = 1; below < 80; below++)
        for (BN_ULONG above = 1; above < 40; above++)
            for (int negative = 0; negative < 2; negative++) {
                uint8_t peer[X25519_SIZE];
                assert_int_equal(BN_set_word(part, below), 1);
                assert_non_null(BN_mod_inverse(number, part, prime, work));
                assert_int_equal(BN_mul_word(number, above), 1);
                BN_set_negative(number, negative);
                assert_int_equal(BN_nnmod(number, number, prime, work), 1);
                assert_int_equal(BN_bn2lebinpad(number, peer, sizeof peer), sizeof peer);
                add(&octet, peer);
            }
    finish(&octet);
    assert_true(octet.compared > 3000);
    assert_true(octet.refused > 50);
    BN_free(prime);
    BN_free(number);
    BN_free(part);
    BN_CTX_free(work);
}

static void test_wrong_lanes_are_found(void **state)
{
    NEEDS_LANES;
    struct lanes wrong = lanes;
    assert_true(lanes_known_answers(&lanes));
    wrong.public_key = (uint32_t(*)(lanes_out, lanes_in))lanes.public_key;
    wrong.shared_secret =
        (uint32_t(*)(lanes_out, lanes_in, lanes_in))(void *)lanes.public_key; /* ignores the peer */
    assert_false(lanes_known_answers(&wrong));
}

/* ---- the pool ---- */

#define TAKEN 40

static void take(struct pairs *pairs, struct key_pair taken[TAKEN])
{
    for (size_t i = 0; i < TAKEN; i++)
        assert_true(pairs_take(pairs, &taken[i]));
}

static void test_pairs(void **state)
{
    NEEDS_LANES;
    char reason[128];
    struct key_pair taken[TAKEN];
    struct pairs *pairs = pairs_new(context, &lanes, reason, sizeof reason);
    assert_non_null(pairs);
    take(pairs, taken);
    for (size_t i = 0; i < TAKEN; i++) {
        struct key_pair again;
        memcpy(again.private, taken[i].private, X25519_SIZE);
        assert_true(plain_make_public(context, &again));
        assert_memory_equal(again.public, taken[i].public, X25519_SIZE);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(taken[i].public, taken[j].public, X25519_SIZE);
    }
    pairs_free(pairs);
}

/* A child that used its parent's pairs would share secrets with it. */
static void test_pairs_after_fork(void **state)
{
    NEEDS_LANES;
    char reason[128];
    struct key_pair taken[TAKEN], child_taken[TAKEN];
    int ends[2];
    struct pairs *pairs = pairs_new(context, &lanes, reason, sizeof reason);
    assert_non_null(pairs);
    assert_true(pairs_take(pairs, &taken[0])); /* seven are left */
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        bool good = true;
        for (size_t i = 0; i < TAKEN; i++)
            good = good && pairs_take(pairs, &child_taken[i]);
        good = good && write(ends[1], child_taken, sizeof child_taken) == sizeof child_taken;
        _exit(good ? 0 : 1);
    }
    take(pairs, taken);
    assert_int_equal(read(ends[0], child_taken, sizeof child_taken), sizeof child_taken);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < TAKEN; i++)
        for (size_t j = 0; j < TAKEN; j++)
            assert_memory_not_equal(taken[i].private, child_taken[j].private, X25519_SIZE);
    close(ends[0]);
    close(ends[1]);
    pairs_free(pairs);
}

/* ---- the key type ---- */

static EVP_PKEY *generate(const char *properties)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(context, properties, "X25519");
    assert_non_null(key);
    return key;
}

/* A peer's key made as libssl does it: empty, of our type, then filled from the key share. */
static EVP_PKEY *peer_of(EVP_PKEY *own, EVP_PKEY *other)
{
    unsigned char *bytes = NULL;
    size_t length = EVP_PKEY_get1_encoded_public_key(other, &bytes);
    EVP_PKEY *peer = EVP_PKEY_new();
    assert_int_equal(length, X25519_SIZE);
    assert_int_equal(EVP_PKEY_copy_parameters(peer, own), 1);
    assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, bytes, length), 1);
    OPENSSL_free(bytes);
    return peer;
}

static int derive(EVP_PKEY *own, EVP_PKEY *peer, const char *properties, uint8_t *secret)
{
    size_t length = 0;
    EVP_PKEY_CTX *derivation = EVP_PKEY_CTX_new_from_pkey(context, own, properties);
    assert_int_equal(EVP_PKEY_derive_init(derivation), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(derivation, peer), 1);
    assert_int_equal(EVP_PKEY_derive(derivation, NULL, &length), 1);
    assert_int_equal(length, X25519_SIZE);
    int result = EVP_PKEY_derive(derivation, secret, &length);
    EVP_PKEY_CTX_free(derivation);
    return result;
}

static void test_exchange_with_default(void **state)
{
    NEEDS_LANES;
    EVP_PKEY *ours = generate(FAST_HANDSHAKE_WANTED), *theirs = generate(FAST_HANDSHAKE_UNWANTED);
    EVP_PKEY *their_share = peer_of(ours, theirs), *our_share = peer_of(theirs, ours);
    uint8_t secret[X25519_SIZE], expected[X25519_SIZE];
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(ours)), "immure-handshake");
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(theirs)), "default");
    assert_int_equal(derive(ours, their_share, FAST_HANDSHAKE_WANTED, secret), 1);
    assert_int_equal(derive(theirs, our_share, FAST_HANDSHAKE_UNWANTED, expected), 1);
    assert_memory_equal(secret, expected, sizeof secret);
    assert_int_equal(EVP_PKEY_get_bits(ours), EVP_PKEY_get_bits(theirs));
    assert_int_equal(EVP_PKEY_get_size(ours), EVP_PKEY_get_size(theirs));
    assert_int_equal(EVP_PKEY_get_security_bits(ours), EVP_PKEY_get_security_bits(theirs));
    assert_int_equal(EVP_PKEY_eq(ours, our_share), 1); /* one by export to the other's provider */
    assert_int_not_equal(EVP_PKEY_eq(ours, theirs), 1);
    EVP_PKEY_free(ours);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(our_share);
    EVP_PKEY_free(their_share);
}

static void test_import_and_copies(void **state)
{
    NEEDS_LANES;
    EVP_PKEY *theirs = generate(FAST_HANDSHAKE_UNWANTED);
    struct key_pair pair, back;
    size_t length = X25519_SIZE;
    assert_int_equal(EVP_PKEY_get_raw_private_key(theirs, pair.private, &length), 1);
    assert_int_equal(EVP_PKEY_get_raw_public_key(theirs, pair.public, &length), 1);
    EVP_PKEY *ours = EVP_PKEY_new_raw_private_key_ex(context, "X25519", FAST_HANDSHAKE_WANTED,
                                                     pair.private, X25519_SIZE);
    assert_non_null(ours);
    EVP_PKEY *copy = EVP_PKEY_dup(ours);
    assert_non_null(copy);
    assert_int_equal(EVP_PKEY_get_raw_public_key(copy, back.public, &length), 1);
    assert_int_equal(EVP_PKEY_get_raw_private_key(copy, back.private, &length), 1);
    assert_memory_equal(&pair, &back, sizeof pair);
    assert_int_equal(EVP_PKEY_eq(copy, theirs), 1);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(ours);
    EVP_PKEY_free(copy);
}

static void test_worthless_peer(void **state)
{
    NEEDS_LANES;
    static const uint8_t zero[X25519_SIZE];
    uint8_t secret[X25519_SIZE];
    EVP_PKEY *own = generate(FAST_HANDSHAKE_WANTED);
    EVP_PKEY *peer = EVP_PKEY_new();
    assert_int_equal(EVP_PKEY_copy_parameters(peer, own), 1);
    assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, zero, sizeof zero - 1), 0);
    assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, zero, sizeof zero), 1);
    assert_int_not_equal(derive(own, peer, FAST_HANDSHAKE_WANTED, secret), 1);
    ERR_clear_error();
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_keys),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_fractions),
        cmocka_unit_test(test_wrong_lanes_are_found),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_pairs_after_fork),
        cmocka_unit_test(test_exchange_with_default),
        cmocka_unit_test(test_import_and_copies),
        cmocka_unit_test(test_worthless_peer),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
