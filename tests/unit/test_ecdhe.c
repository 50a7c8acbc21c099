/* Public values of ECDHE: only those of key pairs are good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "keyd/rules/ecdhe.h"

#define TIMES 50

static const struct {
    uint16_t number;
    const char *type, *curve;
    bool common;
} groups[] = {{23, "EC", "P-256", true},
              {24, "EC", "P-384", true},
              {25, "EC", "P-521", false},
              {29, "X25519", NULL, true},
              {30, "X448", NULL, false}};
#define GROUPS (sizeof groups / sizeof groups[0])
#define FIRST_MONTGOMERY 3

static EVP_PKEY *new_pair(size_t i)
{
    EVP_PKEY *pair = groups[i].curve != NULL
                         ? EVP_PKEY_Q_keygen(NULL, NULL, groups[i].type, groups[i].curve)
                         : EVP_PKEY_Q_keygen(NULL, NULL, groups[i].type);
    assert_non_null(pair);
    return pair;
}

/* The public value of a new key pair. */
static void make(size_t i, uint8_t value[ECDHE_VALUE_MAX])
{
    EVP_PKEY *pair = new_pair(i);
    uint8_t *made;
    size_t size = EVP_PKEY_get1_encoded_public_key(pair, &made);
    assert_int_equal(size, ecdhe_group_find(groups[i].number)->size);
    memcpy(value, made, size);
    OPENSSL_free(made);
    EVP_PKEY_free(pair);
}

static int open_all(void **state)
{
    static struct ecdhe ecdhe;
    *state = &ecdhe;
    return ecdhe_open(&ecdhe) ? 0 : -1;
}

static int close_all(void **state)
{
    ecdhe_close(*state);
    return 0;
}

static void the_groups(void **state)
{
    (void)state;
    size_t known = 0;
    for (unsigned number = 0; number <= UINT16_MAX; number++)
        known += ecdhe_group_find((uint16_t)number) != NULL;
    assert_int_equal(known, GROUPS);
    for (size_t i = 0; i < GROUPS; i++)
        assert_int_equal(ecdhe_group_find(groups[i].number)->common, groups[i].common);
}

static void values_of_key_pairs_are_good(void **state)
{
    for (size_t i = 0; i < GROUPS; i++)
        for (unsigned times = 0; times < TIMES; times++) {
            uint8_t value[ECDHE_VALUE_MAX];
            make(i, value);
            assert_true(ecdhe_value_is_good(*state, ecdhe_group_find(groups[i].number), value));
        }
}

static void points_that_are_on_no_curve(void **state)
{
    for (size_t i = 0; i < FIRST_MONTGOMERY; i++) {
        const struct ecdhe_group *group = ecdhe_group_find(groups[i].number);
        uint8_t value[ECDHE_VALUE_MAX];
        for (size_t at = 0; at < group->size; at++) {
            make(i, value);
            value[at] ^= 1;
            assert_false(ecdhe_value_is_good(*state, group, value));
        }
        for (unsigned times = 0; times < TIMES; times++) {
            assert_int_equal(RAND_bytes(value + 1, group->size - 1), 1);
            value[0] = 4;
            value[1] = 0; /* a coordinate below the prime, even of P-521 */
            value[1 + group->size / 2] = 0;
            assert_false(ecdhe_value_is_good(*state, group, value));
        }
        memset(value, 0xff, group->size); /* no coordinates of the field */
        value[0] = 4;
        assert_false(ecdhe_value_is_good(*state, group, value));
        memset(value + 1, 0, group->size - 1u);
        assert_false(ecdhe_value_is_good(*state, group, value));
        /* other forms: compressed, hybrid, the point at infinity */
        for (unsigned form = 0; form < 256; form++) {
            make(i, value);
            value[0] = (uint8_t)form;
            assert_int_equal(ecdhe_value_is_good(*state, group, value), form == 4);
        }
    }
}

/* Whether libcrypto derives a secret with this public value. */
static bool libcrypto_derives(size_t i, const uint8_t *value, size_t size)
{
    uint8_t secret[56];
    size_t length = sizeof secret;
    EVP_PKEY *pair = new_pair(i);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(NULL, groups[i].type, NULL, value, size);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
    assert_non_null(peer);
    assert_int_equal(EVP_PKEY_derive_init(context), 1);
    bool derived = EVP_PKEY_derive_set_peer(context, peer) == 1 &&
                   EVP_PKEY_derive(context, secret, &length) == 1;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(pair);
    return derived;
}

/* Writes the prime of the field plus `above`, little-endian. */
static void put_near_prime(uint8_t *value, size_t size, int above)
{
    memset(value, 0xff, size);
    if (size == 32) {
        value[0] = (uint8_t)(0xed + above);
        value[31] = 0x7f;
    } else if (above > 0) { /* 2^448 - 2^224 - 1 and so many more */
        memset(value, 0, size / 2);
        memset(value + size / 2, 0xff, size - size / 2);
        value[0] = (uint8_t)(above - 1);
    } else {
        value[0] = (uint8_t)(0xff + above);
        value[size / 2] = 0xfe;
    }
}

static void values_of_low_order(void **state)
{
    static const uint8_t order_8[2][32] = {
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
         0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
         0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}};
    for (size_t i = FIRST_MONTGOMERY; i < GROUPS; i++) {
        const struct ecdhe_group *group = ecdhe_group_find(groups[i].number);
        uint8_t low[5][ECDHE_VALUE_MAX] = {{0}, {1}};
        size_t count = 3;
        put_near_prime(low[2], group->size, -1);
        if (group->size == 32)
            for (size_t j = 0; j < 2; j++)
                memcpy(low[count++], order_8[j], 32);
        for (size_t j = 0; j < count; j++) {
            assert_false(libcrypto_derives(i, low[j], group->size));
            assert_false(ecdhe_value_is_good(*state, group, low[j]));
            low[j][0] ^= 8; /* with its neighbour a secret can be derived */
            assert_true(libcrypto_derives(i, low[j], group->size));
            assert_true(ecdhe_value_is_good(*state, group, low[j]));
        }
    }
}

static void values_that_are_not_reduced(void **state)
{
    for (size_t i = FIRST_MONTGOMERY; i < GROUPS; i++) {
        const struct ecdhe_group *group = ecdhe_group_find(groups[i].number);
        uint8_t value[ECDHE_VALUE_MAX];
        for (int above = -20; above <= 18; above++) {
            put_near_prime(value, group->size, above);
            assert_int_equal(ecdhe_value_is_good(*state, group, value), above < -1);
        }
        memset(value, 0xff, group->size);
        assert_false(ecdhe_value_is_good(*state, group, value));
        if (group->size == 32) { /* RFC 7748 ignores the highest bit */
            make(i, value);
            value[31] |= 0x80;
            assert_false(ecdhe_value_is_good(*state, group, value));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_groups),
        cmocka_unit_test(values_of_key_pairs_are_good),
        cmocka_unit_test(points_that_are_on_no_curve),
        cmocka_unit_test(values_of_low_order),
        cmocka_unit_test(values_that_are_not_reduced),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
