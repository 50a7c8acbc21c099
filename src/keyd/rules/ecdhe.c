#include "keyd/rules/ecdhe.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <string.h>

#define X25519_SIZE 32
#define X448_SIZE 56
#define POINT_UNCOMPRESSED 4

static const struct ecdhe_group groups[ECDHE_GROUPS] = {
    {23, 65, true, NID_X9_62_prime256v1},
    {24, 97, true, NID_secp384r1},
    {25, 133, false, NID_secp521r1},
    {29, X25519_SIZE, true, 0},
    {30, X448_SIZE, false, 0},
};

bool ecdhe_open(struct ecdhe *ecdhe)
{
    *ecdhe = (struct ecdhe){.numbers = BN_CTX_new()};
    bool good = ecdhe->numbers != NULL;
    for (size_t i = 0; i < ECDHE_GROUPS && good; i++) {
        if (groups[i].curve == 0)
            continue;
        struct ecdhe_curve *curve = &ecdhe->curves[i];
        good = (curve->curve = EC_GROUP_new_by_curve_name(groups[i].curve)) != NULL &&
               (curve->point = EC_POINT_new(curve->curve)) != NULL;
    }
    if (!good)
        ecdhe_close(ecdhe);
    return good;
}

void ecdhe_close(struct ecdhe *ecdhe)
{
    for (size_t i = 0; i < ECDHE_GROUPS; i++) {
        EC_POINT_free(ecdhe->curves[i].point);
        EC_GROUP_free(ecdhe->curves[i].curve);
    }
    BN_CTX_free(ecdhe->numbers);
    *ecdhe = (struct ecdhe){.numbers = NULL};
}

const struct ecdhe_group *ecdhe_group_find(uint16_t number)
{
    for (size_t i = 0; i < ECDHE_GROUPS; i++)
        if (groups[i].number == number)
            return &groups[i];
    return NULL;
}

static bool is_on_curve(struct ecdhe *ecdhe, const struct ecdhe_group *group, const uint8_t *value)
{
    const struct ecdhe_curve *curve = &ecdhe->curves[group - groups];
    if (value[0] != POINT_UNCOMPRESSED)
        return false;
    if (EC_POINT_oct2point(curve->curve, curve->point, value, group->size, ecdhe->numbers) == 1)
        return true;
    ERR_clear_error();
    return false;
}

/*
 * The values u of RFC 7748, little-endian, that are not accepted as public keys: those that are not
 * reduced modulo the prime, and those of low order, which make the shared secret zero for any
 * private key (RFC 7748, section 6).
 */
static const uint8_t x25519_prime[X25519_SIZE] = {
    0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
static const uint8_t x448_prime[X448_SIZE] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
/* The two values of order 8. On both curves 0, 1 and the prime less 1 have a low order, too. */
static const uint8_t x25519_order_8[2][X25519_SIZE] = {
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
     0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
     0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
     0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
     0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}};

static bool is_less(const uint8_t *value, const uint8_t *bound, size_t size)
{
    while (size-- > 0)
        if (value[size] != bound[size])
            return value[size] < bound[size];
    return false;
}

/* Whether it is 0, 1 or the prime less 1; the prime is odd. */
static bool is_of_order_4(const uint8_t *value, const uint8_t *prime, size_t size)
{
    uint8_t rest = 0;
    for (size_t i = 1; i < size; i++)
        rest |= value[i];
    return (rest == 0 && value[0] <= 1) ||
           (value[0] == prime[0] - 1 && memcmp(value + 1, prime + 1, size - 1) == 0);
}

static bool is_montgomery_key(const uint8_t *value, const uint8_t *prime, size_t size)
{
    return is_less(value, prime, size) && !is_of_order_4(value, prime, size);
}

bool ecdhe_value_is_good(struct ecdhe *ecdhe, const struct ecdhe_group *group, const uint8_t *value)
{
    if (group->curve != 0)
        return is_on_curve(ecdhe, group, value);
    if (group->size == X448_SIZE)
        return is_montgomery_key(value, x448_prime, X448_SIZE);
    return is_montgomery_key(value, x25519_prime, X25519_SIZE) &&
           memcmp(value, x25519_order_8[0], X25519_SIZE) != 0 &&
           memcmp(value, x25519_order_8[1], X25519_SIZE) != 0;
}
