/*
 * Stands in for Intel's crypto_mb where a test needs one that fails, or the processor has no lanes:
 * the same entry points, computed by libcrypto lane after lane. Loaded by path, and never
 * installed.
 *
 * "FAULT LANE AFTER" in a file beside it, of its name with ".fault" behind, makes it fail in one
 * lane, from so many signing calls on; a test in the same process may set `stand_in` instead.
 */
#include "crypto_mb_stand_in.h"

#include <dlfcn.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
#define SCRATCH 4096
#define RSA_BYTES_MAX 512
#define STATUS_FAILED 8u

struct stand_in stand_in;

static const char *const names[] = {[STAND_IN_GOOD] = "good",
                                    [STAND_IN_NO_LANES] = "no-lanes",
                                    [STAND_IN_STATUS] = "status",
                                    [STAND_IN_WRONG] = "wrong",
                                    [STAND_IN_WRONG_HALF] = "wrong-half",
                                    [STAND_IN_SHORT] = "short",
                                    [STAND_IN_NOTHING] = "nothing"};

/* immured has no environment: the fault is in a file beside this library. */
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

/* What leaves a lane. */
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

const void *mbx_RSA_pub65537_Method(int bits)
{
    return mbx_RSA_private_crt_Method(bits);
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

/* What is the same in all lanes is computed once: so a batch of equal messages, by which immured
 * measures, takes less time than one by one, as with lanes that are real. */
uint32_t mbx_rsa_private_crt_mb8(const uint8_t *const from[LANES], uint8_t *const to[LANES],
                                 const uint64_t *const p[LANES], const uint64_t *const q[LANES],
                                 const uint64_t *const dp[LANES], const uint64_t *const dq[LANES],
                                 const uint64_t *const iq[LANES], int bits, const void *method,
                                 uint8_t *scratch)
{
    (void)method;
    uint8_t made[LANES][RSA_BYTES_MAX];
    size_t bytes = (size_t)bits / 8;
    uint32_t status = 0;
    stand_in.calls++;
    memset(scratch, 0x5a, SCRATCH); /* the real one leaves secrets there */
    for (size_t lane = 0; lane < LANES; lane++) {
        bool wrong = fails(lane, STAND_IN_WRONG_HALF);
        if (lane > 0 && p[lane] == p[0] && memcmp(from[lane], from[0], bytes) == 0 && !wrong &&
            !fails(0, STAND_IN_WRONG_HALF))
            memcpy(made[lane], made[0], bytes);
        else
            rsa_private_one(
                made[lane], from[lane],
                (const uint64_t *const[]){p[lane], q[lane], dp[lane], dq[lane], iq[lane]}, bytes,
                wrong);
        status |= put(lane, to[lane], made[lane], bytes);
    }
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
    uint64_t made[LANES][RSA_BYTES_MAX / sizeof(uint64_t)];
    size_t bytes = (size_t)modulus_bits / 8;
    uint32_t status = 0;
    stand_in.calls++;
    memset(scratch, 0x5a, SCRATCH);
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t same = 0;
        while (same < lane &&
               (exponent[same] != exponent[lane] || memcmp(base[same], base[lane], bytes) != 0))
            same++;
        bool wrong = fails(lane, STAND_IN_WRONG_HALF);
        if (same < lane && !wrong && !fails(same, STAND_IN_WRONG_HALF))
            memcpy(made[lane], made[same], bytes);
        else
            power_one(made[lane],
                      (const uint64_t *const[]){base[lane], exponent[lane], modulus[lane]}, bytes,
                      wrong);
        status |= put(lane, (uint8_t *)power[lane], (const uint8_t *)made[lane], bytes);
    }
    return status;
}

static void rsa_public_one(uint8_t *to, const uint8_t *from, const uint64_t *n, size_t bytes)
{
    BN_CTX *context = BN_CTX_new();
    BN_CTX_start(context);
    BIGNUM *number = BN_CTX_get(context), *e = BN_CTX_get(context), *modulus = BN_CTX_get(context);
    get_limbs(modulus, n, bytes);
    BN_bin2bn(from, (int)bytes, number);
    BN_set_word(e, 65537);
    BN_mod_exp(number, number, e, modulus, context);
    BN_bn2binpad(number, to, (int)bytes);
    BN_CTX_end(context);
    BN_CTX_free(context);
}

uint32_t mbx_rsa_public_mb8(const uint8_t *const from[LANES], uint8_t *const to[LANES],
                            const uint64_t *const n[LANES], int bits, const void *method,
                            uint8_t *scratch)
{
    (void)method, (void)scratch;
    size_t bytes = (size_t)bits / 8;
    for (size_t lane = 0; lane < LANES; lane++)
        if (lane > 0 && n[lane] == n[0] && memcmp(from[lane], from[0], bytes) == 0)
            memcpy(to[lane], to[0], bytes);
        else
            rsa_public_one(to[lane], from[lane], n[lane], bytes);
    return 0;
}

static uint32_t ecdsa_sign(int nid, size_t bytes, uint8_t *const r[LANES], uint8_t *const s[LANES],
                           const uint8_t *const digest[LANES], const uint64_t *const nonce[LANES],
                           const uint64_t *const key[LANES])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
    EC_POINT *point = EC_POINT_new(group);
    const BIGNUM *n = EC_GROUP_get0_order(group);
    uint32_t status = 0;
    stand_in.calls++;
    for (size_t lane = 0; lane < LANES; lane++) {
        BN_CTX *context = BN_CTX_new();
        BN_CTX_start(context);
        BIGNUM *k = BN_CTX_get(context), *d = BN_CTX_get(context), *e = BN_CTX_get(context);
        BIGNUM *x = BN_CTX_get(context), *sum = BN_CTX_get(context);
        get_limbs(k, nonce[lane], bytes);
        get_limbs(d, key[lane], bytes);
        BN_bin2bn(digest[lane], (int)bytes, e);
        EC_POINT_mul(group, point, k, NULL, NULL, context);
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
    (void)public_key;
    uint32_t status = 0;
    stand_in.calls++;
    for (size_t lane = 0; lane < LANES; lane++) {
        uint8_t signature[64];
        size_t size = sizeof signature;
        EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key[lane], 32);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_DigestSignInit(context, NULL, NULL, NULL, key);
        EVP_DigestSign(context, signature, &size, message[lane], length[lane]);
        status |= put(lane, r[lane], signature, 32);
        status |= put(lane, s[lane], signature + 32, 32);
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(key);
    }
    return status;
}
