/*
 * Stands in for Intel's crypto_mb where a test needs one that fails, or the processor has no lanes:
 * the same entry points, computed by libcrypto lane after lane. Loaded by path, and never
 * installed.
 *
 * "FAULT LANE AFTER" in a file next to it, with the suffix ".fault", makes it fail in one lane
 * after this many signing calls; a test in the same process may set `stand_in` instead.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto_mb_stand_in.h"

#include <dlfcn.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
#define SCRATCH 4096
#define RSA_BYTES_MAX 512
#define ED25519_MESSAGE_MAX 4096
#define STATUS_FAILED 8u

struct stand_in stand_in;

static const char *const names[] = {[STAND_IN_GOOD] = "good",
                                    [STAND_IN_NO_LANES] = "no-lanes",
                                    [STAND_IN_STATUS] = "status",
                                    [STAND_IN_WRONG] = "wrong",
                                    [STAND_IN_WRONG_HALF] = "wrong-half",
                                    [STAND_IN_SHORT] = "short",
                                    [STAND_IN_NOTHING] = "nothing",
                                    [STAND_IN_STALE] = "stale",
                                    [STAND_IN_NEIGHBOUR] = "neighbour",
                                    [STAND_IN_MESSAGE] = "message",
                                    [STAND_IN_KEY] = "key",
                                    [STAND_IN_BASE_POINT] = "base-point"};

/* The fault is in a file next to this library, because immured's environment is empty. */
__attribute__((constructor)) static void read_fault(void)
{
    Dl_info info;
    char path[512], name[32] = "";
    if (dladdr(&stand_in, &info) == 0)
        return;
    snprintf(path, sizeof path, "%s.fault", info.dli_fname);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    int read = fscanf(file, "%31s %u %u", name, &stand_in.lane, &stand_in.after);
    fclose(file);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && read == 3; i++)
        if (strcmp(names[i], name) == 0)
            stand_in.fault = (enum stand_in_fault)i;
}

static bool fails(size_t lane, enum stand_in_fault fault)
{
    return stand_in.fault == fault && stand_in.lane == lane && stand_in.calls > stand_in.after;
}

/* The output of the lanes, kept for a later call. */
struct kept {
    uint8_t lanes[LANES][RSA_BYTES_MAX];
};

static void misplace(uint8_t *const to[LANES], size_t length, struct kept *kept)
{
    struct kept now;
    for (size_t lane = 0; lane < LANES; lane++)
        memcpy(now.lanes[lane], to[lane], length);
    for (size_t lane = 0; lane < LANES; lane++) {
        if (fails(lane, STAND_IN_STALE))
            memcpy(to[lane], kept->lanes[lane], length);
        if (fails(lane, STAND_IN_NEIGHBOUR))
            memcpy(to[lane], now.lanes[(lane + 1) % LANES], length);
    }
    *kept = now;
}

/* The input of a lane, with a bit flipped if that is the fault; `copy` has room for it. */
static const void *enter(size_t lane, enum stand_in_fault fault, const void *from, size_t length,
                         void *copy)
{
    if (!fails(lane, fault))
        return from;
    memcpy(copy, from, length);
    ((uint8_t *)copy)[length / 2] ^= 0x10;
    return copy;
}

/* Writes the output of a lane. */
static uint32_t put(size_t lane, uint8_t *to, const uint8_t *bytes, size_t length)
{
    if (fails(lane, STAND_IN_STATUS))
        return STATUS_FAILED << 4 * lane;
    if (fails(lane, STAND_IN_NOTHING))
        return 0;
    bool is_short = fails(lane, STAND_IN_SHORT);
    memcpy(to, bytes + is_short, length - is_short);
    if (fails(lane, STAND_IN_WRONG))
        to[length / 2] ^= 0x10;
    return 0;
}

static uint32_t put_number(size_t lane, uint8_t *to, const BIGNUM *number, size_t length)
{
    uint8_t bytes[512];
    return BN_bn2binpad(number, bytes, (int)length) > 0 ? put(lane, to, bytes, length)
                                                        : STATUS_FAILED << 4 * lane;
}

static void get_limbs(BIGNUM *number, const uint64_t *limbs, size_t bytes)
{
    BN_lebin2bn((const unsigned char *)limbs, (int)bytes, number);
}

uint64_t mbx_get_algo_info(int number)
{
    return stand_in.fault == STAND_IN_NO_LANES || number > 14 ? 0 : LANES;
}

const void *mbx_RSA_private_crt_Method(int bits)
{
    static const int methods[] = {2048, 3072, 4096};
    return &methods[(bits - 2048) / 1024];
}

int mbx_RSA_Method_BufSize(const void *method)
{
    (void)method;
    return SCRATCH;
}

static void rsa_private_one(uint8_t *to, const uint8_t *from, const uint64_t *const numbers[5],
                            size_t bytes, bool wrong_half)
{
    enum { P, Q, DP, DQ, IQ };
    BN_CTX *context = BN_CTX_new();
    BN_CTX_start(context);
    BIGNUM *p = BN_CTX_get(context), *q = BN_CTX_get(context), *other = BN_CTX_get(context);
    BIGNUM *m = BN_CTX_get(context), *sp = BN_CTX_get(context), *sq = BN_CTX_get(context);
    get_limbs(p, numbers[P], bytes / 2);
    get_limbs(q, numbers[Q], bytes / 2);
    BN_bin2bn(from, (int)bytes, m);
    get_limbs(other, numbers[DP], bytes / 2);
    BN_mod_exp(sp, m, other, p, context);
    get_limbs(other, numbers[DQ], bytes / 2);
    BN_mod_exp(sq, m, other, q, context);
    if (wrong_half)
        BN_add_word(sp, 1);
    get_limbs(other, numbers[IQ], bytes / 2);
    BN_mod_sub(sp, sp, sq, p, context);
    BN_mod_mul(sp, sp, other, p, context);
    BN_mul(sp, sp, q, context);
    BN_add(sp, sp, sq);
    BN_bn2binpad(sp, to, (int)bytes);
    BN_CTX_end(context);
    BN_CTX_free(context);
}

static bool computes_wrong(size_t lane)
{
    return fails(lane, STAND_IN_WRONG_HALF) || fails(lane, STAND_IN_MESSAGE) ||
           fails(lane, STAND_IN_KEY);
}

/* Equal inputs of the lanes are computed once. So a batch of equal messages, with which immured
 * measures, takes less time than single ones, as with real lanes. */
uint32_t mbx_rsa_private_crt_mb8(const uint8_t *const from[LANES], uint8_t *const to[LANES],
                                 const uint64_t *const p[LANES], const uint64_t *const q[LANES],
                                 const uint64_t *const dp[LANES], const uint64_t *const dq[LANES],
                                 const uint64_t *const iq[LANES], int bits, const void *method,
                                 uint8_t *scratch)
{
    (void)method;
    static _Thread_local struct kept kept;
    uint8_t made[LANES][RSA_BYTES_MAX], message[RSA_BYTES_MAX], key[RSA_BYTES_MAX];
    size_t bytes = (size_t)bits / 8;
    uint32_t status = 0;
    stand_in.calls++;
    memset(scratch, 0x5a, SCRATCH); /* the real one leaves secrets there */
    for (size_t lane = 0; lane < LANES; lane++) {
        if (lane > 0 && p[lane] == p[0] && memcmp(from[lane], from[0], bytes) == 0 &&
            !computes_wrong(lane) && !computes_wrong(0))
            memcpy(made[lane], made[0], bytes);
        else
            rsa_private_one(
                made[lane], enter(lane, STAND_IN_MESSAGE, from[lane], bytes, message),
                (const uint64_t *const[]){p[lane], q[lane],
                                          enter(lane, STAND_IN_KEY, dp[lane], bytes / 2, key),
                                          dq[lane], iq[lane]},
                bytes, fails(lane, STAND_IN_WRONG_HALF));
        status |= put(lane, to[lane], made[lane], bytes);
    }
    misplace(to, bytes, &kept);
    return status;
}

int mbx_exp_BufferSize(int bits)
{
    return bits == 1536 ? 0 : SCRATCH;
}

static void power_one(uint64_t *to, const uint64_t *const numbers[3], size_t bytes, bool wrong)
{
    enum { BASE, EXPONENT, MODULUS };
    BN_CTX *context = BN_CTX_new();
    BN_CTX_start(context);
    BIGNUM *base = BN_CTX_get(context), *exponent = BN_CTX_get(context);
    BIGNUM *modulus = BN_CTX_get(context), *power = BN_CTX_get(context);
    get_limbs(base, numbers[BASE], bytes);
    get_limbs(exponent, numbers[EXPONENT], bytes);
    get_limbs(modulus, numbers[MODULUS], bytes);
    BN_mod_exp(power, base, exponent, modulus, context);
    if (wrong)
        BN_add_word(power, 1);
    BN_bn2lebinpad(power, (uint8_t *)to, (int)bytes);
    BN_CTX_end(context);
    BN_CTX_free(context);
}

uint32_t mbx_exp_mb8(uint64_t *const power[LANES], const uint64_t *const base[LANES],
                     const uint64_t *const exponent[LANES], int exponent_bits,
                     const uint64_t *const modulus[LANES], int modulus_bits, uint8_t *scratch,
                     int scratch_size)
{
    (void)exponent_bits, (void)scratch_size;
    static _Thread_local struct kept kept;
    uint64_t made[LANES][RSA_BYTES_MAX / sizeof(uint64_t)];
    uint64_t message[RSA_BYTES_MAX / sizeof(uint64_t)], key[RSA_BYTES_MAX / sizeof(uint64_t)];
    uint8_t *to[LANES];
    size_t bytes = (size_t)modulus_bits / 8;
    uint32_t status = 0;
    stand_in.calls++;
    memset(scratch, 0x5a, SCRATCH);
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t same = 0;
        while (same < lane &&
               (exponent[same] != exponent[lane] || memcmp(base[same], base[lane], bytes) != 0))
            same++;
        if (same < lane && !computes_wrong(lane) && !computes_wrong(same))
            memcpy(made[lane], made[same], bytes);
        else
            power_one(made[lane],
                      (const uint64_t *const[]){
                          enter(lane, STAND_IN_MESSAGE, base[lane], bytes, message),
                          enter(lane, STAND_IN_KEY, exponent[lane], bytes, key), modulus[lane]},
                      bytes, fails(lane, STAND_IN_WRONG_HALF));
        to[lane] = (uint8_t *)power[lane];
        status |= put(lane, to[lane], (const uint8_t *)made[lane], bytes);
    }
    misplace(to, bytes, &kept);
    return status;
}

static uint32_t ecdsa_sign(int nid, size_t bytes, uint8_t *const r[LANES], uint8_t *const s[LANES],
                           const uint8_t *const digest[LANES], const uint64_t *const nonce[LANES],
                           const uint64_t *const key[LANES])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
    EC_POINT *point = EC_POINT_new(group);
    const BIGNUM *n = EC_GROUP_get0_order(group);
    static struct kept kept_r, kept_s;
    uint8_t entered[2][RSA_BYTES_MAX];
    uint32_t status = 0;
    stand_in.calls++;
    for (size_t lane = 0; lane < LANES; lane++) {
        BN_CTX *context = BN_CTX_new();
        BN_CTX_start(context);
        BIGNUM *k = BN_CTX_get(context), *d = BN_CTX_get(context), *e = BN_CTX_get(context);
        BIGNUM *x = BN_CTX_get(context), *sum = BN_CTX_get(context);
        get_limbs(k, nonce[lane], bytes);
        get_limbs(d, enter(lane, STAND_IN_KEY, key[lane], bytes, entered[0]), bytes);
        BN_bin2bn(enter(lane, STAND_IN_MESSAGE, digest[lane], bytes, entered[1]), (int)bytes, e);
        EC_POINT_mul(group, point, k, NULL, NULL, context);
        if (fails(lane, STAND_IN_BASE_POINT))
            EC_POINT_dbl(group, point, point, context);
        EC_POINT_get_affine_coordinates(group, point, x, NULL, context);
        BN_nnmod(x, x, n, context);
        BN_mod_mul(sum, x, d, n, context);
        BN_mod_add(sum, sum, e, n, context);
        BN_mod_inverse(k, k, n, context);
        BN_mod_mul(sum, sum, k, n, context);
        status |= put_number(lane, r[lane], x, bytes);
        status |= put_number(lane, s[lane], sum, bytes);
        BN_CTX_end(context);
        BN_CTX_free(context);
    }
    misplace(r, bytes, &kept_r);
    misplace(s, bytes, &kept_s);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return status;
}

uint32_t mbx_nistp256_ecdsa_sign_mb8(uint8_t *const r[LANES], uint8_t *const s[LANES],
                                     const uint8_t *const digest[LANES],
                                     const uint64_t *const nonce[LANES],
                                     const uint64_t *const key[LANES], uint8_t *unused)
{
    (void)unused;
    return ecdsa_sign(NID_X9_62_prime256v1, 32, r, s, digest, nonce, key);
}

uint32_t mbx_nistp384_ecdsa_sign_mb8(uint8_t *const r[LANES], uint8_t *const s[LANES],
                                     const uint8_t *const digest[LANES],
                                     const uint64_t *const nonce[LANES],
                                     const uint64_t *const key[LANES], uint8_t *unused)
{
    (void)unused;
    return ecdsa_sign(NID_secp384r1, 48, r, s, digest, nonce, key);
}

uint32_t mbx_ed25519_sign_mb8(uint8_t *const r[LANES], uint8_t *const s[LANES],
                              const uint8_t *const message[LANES], const uint32_t length[LANES],
                              const uint8_t *const private_key[LANES],
                              const uint8_t *const public_key[LANES])
{
    static struct kept kept_r, kept_s;
    uint8_t copy[2][ED25519_MESSAGE_MAX];
    uint32_t status = 0;
    stand_in.calls++;
    for (size_t lane = 0; lane < LANES; lane++) {
        uint8_t signature[64], public[32];
        size_t size = sizeof signature, public_size = sizeof public;
        EVP_PKEY *key = EVP_PKEY_new_raw_private_key(
            EVP_PKEY_ED25519, NULL, enter(lane, STAND_IN_KEY, private_key[lane], 32, copy[0]), 32);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_DigestSignInit(context, NULL, NULL, NULL, key);
        EVP_DigestSign(context, signature, &size,
                       enter(lane, STAND_IN_MESSAGE, message[lane], length[lane], copy[1]),
                       length[lane]);
        EVP_PKEY_get_raw_public_key(key, public, &public_size);
        if (memcmp(public, public_key[lane], sizeof public) != 0)
            signature[40] ^= 1; /* another public key gives another second half */
        status |= put(lane, r[lane], signature, 32);
        status |= put(lane, s[lane], signature + 32, 32);
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(key);
    }
    misplace(r, 32, &kept_r);
    misplace(s, 32, &kept_s);
    return status;
}

static bool p384_verify_one(const uint8_t *r, const uint8_t *s, const uint8_t *digest,
                            const uint64_t *x, const uint64_t *y)
{
    enum { BYTES = 48 };
    EC_KEY *key = EC_KEY_new_by_curve_name(NID_secp384r1);
    BIGNUM *px = BN_new(), *py = BN_new();
    ECDSA_SIG *signature = ECDSA_SIG_new();
    get_limbs(px, x, BYTES);
    get_limbs(py, y, BYTES);
    ECDSA_SIG_set0(signature, BN_bin2bn(r, BYTES, NULL), BN_bin2bn(s, BYTES, NULL));
    bool good = EC_KEY_set_public_key_affine_coordinates(key, px, py) == 1 &&
                ECDSA_do_verify(digest, BYTES, signature, key) == 1;
    ECDSA_SIG_free(signature);
    BN_free(px);
    BN_free(py);
    EC_KEY_free(key);
    ERR_clear_error();
    return good;
}

uint32_t mbx_nistp384_ecdsa_verify_mb8(const uint8_t *const r[LANES], const uint8_t *const s[LANES],
                                       const uint8_t *const digest[LANES],
                                       const uint64_t *const x[LANES],
                                       const uint64_t *const y[LANES],
                                       const uint64_t *const z[LANES], uint8_t *unused)
{
    (void)z, (void)unused;
    uint32_t status = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        if (!p384_verify_one(r[lane], s[lane], digest[lane], x[lane], y[lane]))
            status |= STATUS_FAILED << 4 * lane;
    return status;
}

uint32_t mbx_ed25519_verify_mb8(const uint8_t *const r[LANES], const uint8_t *const s[LANES],
                                const uint8_t *const message[LANES], const uint32_t length[LANES],
                                const uint8_t *const public_key[LANES])
{
    uint32_t status = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        uint8_t signature[64];
        memcpy(signature, r[lane], 32);
        memcpy(signature + 32, s[lane], 32);
        EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key[lane], 32);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1 ||
            EVP_DigestVerify(context, signature, sizeof signature, message[lane], length[lane]) !=
                1)
            status |= STATUS_FAILED << 4 * lane;
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(key);
    }
    ERR_clear_error();
    return status;
}
