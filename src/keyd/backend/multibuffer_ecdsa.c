/*
 * ECDSA (FIPS 186-5, section 6.4) in eight lanes. The nonces are ours: hedged, so that neither a
 * failing random generator nor a fault that makes two digests the same repeats one, and taken or
 * rejected whole, since a reduction would take a time that tells something about them.
 *
 * What comes out is checked against its own equation, s k = e + r d (mod n), with all factors
 * multiplied by a random one: a fault anywhere but in the multiplication of the base point shows,
 * and with it every one that could give the key away.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/backend/multibuffer_lanes.h"

#define DER_MAX 128 /* of a signature on P-384 */

struct curve {
    size_t limbs, bytes; /* of numbers modulo n */
    uint64_t order[EC_LIMBS_MAX];
    BIGNUM *n;
    BN_MONT_CTX *modulo_n;
};

struct ecdsa_numbers {
    struct curve p256, p384;
    BN_CTX *context;
    BIGNUM *one, *blind;
    BIGNUM *k, *d, *e, *left, *right, *term;
    ECDSA_SIG *signature;
    BIGNUM *r, *s; /* the signature's */
};

static bool curve_make(struct curve *curve, int nid, BN_CTX *context)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
    curve->n = group != NULL ? BN_dup(EC_GROUP_get0_order(group)) : NULL;
    curve->modulo_n = BN_MONT_CTX_new();
    EC_GROUP_free(group);
    if (curve->n == NULL || curve->modulo_n == NULL ||
        BN_MONT_CTX_set(curve->modulo_n, curve->n, context) != 1)
        return false;
    curve->bytes = (size_t)BN_num_bytes(curve->n);
    curve->limbs = curve->bytes / sizeof(uint64_t);
    return BN_bn2lebinpad(curve->n, (uint8_t *)curve->order, (int)curve->bytes) > 0;
}

static void curve_free(struct curve *curve)
{
    BN_free(curve->n);
    BN_MONT_CTX_free(curve->modulo_n);
}

static bool signature_make(struct ecdsa_numbers *numbers)
{
    numbers->signature = ECDSA_SIG_new();
    numbers->r = BN_new();
    numbers->s = BN_new();
    if (numbers->signature != NULL && numbers->r != NULL && numbers->s != NULL &&
        ECDSA_SIG_set0(numbers->signature, numbers->r, numbers->s) == 1)
        return true;
    BN_free(numbers->r);
    BN_free(numbers->s);
    return false;
}

struct ecdsa_numbers *ecdsa_numbers_new(void)
{
    struct ecdsa_numbers *numbers = calloc(1, sizeof *numbers);
    if (numbers == NULL)
        return NULL;
    BIGNUM **const each[] = {&numbers->one, &numbers->blind, &numbers->k,     &numbers->d,
                             &numbers->e,   &numbers->left,  &numbers->right, &numbers->term};
    bool good = (numbers->context = BN_CTX_new()) != NULL && signature_make(numbers);
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++)
        good &= (*each[i] = BN_new()) != NULL;
    if (good && BN_one(numbers->one) == 1 &&
        curve_make(&numbers->p256, NID_X9_62_prime256v1, numbers->context) &&
        curve_make(&numbers->p384, NID_secp384r1, numbers->context))
        return numbers;
    ecdsa_numbers_free(numbers);
    return NULL;
}

void ecdsa_numbers_free(struct ecdsa_numbers *numbers)
{
    if (numbers == NULL)
        return;
    curve_free(&numbers->p256);
    curve_free(&numbers->p384);
    BN_CTX_free(numbers->context);
    ECDSA_SIG_free(numbers->signature);
    BN_free(numbers->one);
    BIGNUM *const secret[] = {numbers->blind, numbers->k,     numbers->d,   numbers->e,
                              numbers->left,  numbers->right, numbers->term};
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        BN_clear_free(secret[i]);
    free(numbers);
}

bool ecdsa_prepare(struct lanes_key *lanes, const struct key *key)
{
    return lanes_number_get(key, OSSL_PKEY_PARAM_PRIV_KEY, lanes->ec, (size_t)key->bits / 8);
}

/* Of bytes, most significant first, or of limbs: the other. */
static void reverse(void *to, const void *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[length - 1 - i];
}

/* a - b, in a time that does not depend on them; returns the borrow: a < b. */
static bool subtract(uint64_t *difference, const uint64_t *a, const uint64_t *b, size_t limbs)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < limbs; i++) {
        uint64_t without = a[i] - b[i];
        difference[i] = without - borrow;
        borrow = (uint64_t)(a[i] < b[i]) | (uint64_t)(without < borrow);
    }
    return borrow != 0;
}

static bool in_range(const struct curve *curve, const uint64_t *number)
{
    uint64_t difference[EC_LIMBS_MAX], any = 0;
    for (size_t i = 0; i < curve->limbs; i++)
        any |= number[i];
    bool below = subtract(difference, number, curve->order, curve->limbs);
    OPENSSL_cleanse(difference, sizeof difference);
    return below && any != 0;
}

/* The digest's leftmost bits as a number modulo n (FIPS 186-5, section 6.4.1). */
static void reduce(const struct curve *curve, const struct job *job, uint64_t *number,
                   uint8_t *bytes)
{
    size_t length = job->digest_length < curve->bytes ? job->digest_length : curve->bytes;
    uint64_t difference[EC_LIMBS_MAX];
    memset(number, 0, curve->bytes);
    reverse(number, job->digest, length);
    if (!subtract(difference, number, curve->order, curve->limbs))
        memcpy(number, difference, curve->bytes);
    reverse(bytes, number, curve->bytes);
}

static bool set_number(BIGNUM *number, const uint64_t *limbs, const struct curve *curve)
{
    return BN_lebin2bn((const uint8_t *)limbs, (int)curve->bytes, number) != NULL;
}

/* The random generator is asked once for a whole batch: each time costs it a system call. */
static bool draw(const struct lanes_thread *thread, const struct curve *curve)
{
    union lanes_work *work = thread->work;
    bool good;
    do
        good = RAND_priv_bytes((uint8_t *)&work->ecdsa.random, sizeof work->ecdsa.random) == 1;
    while (good && !in_range(curve, work->ecdsa.random.blind));
    return good && set_number(thread->ecdsa->blind, work->ecdsa.random.blind, curve);
}

/* SHA-512(private key, fresh random bytes, digest): more than a nonce needs, and cut. */
static bool make_nonce(const struct lanes_thread *thread, const struct curve *curve,
                       const struct job *job, size_t lane)
{
    const struct lanes_key *lanes = job->key->prepared;
    uint8_t *fresh = thread->work->ecdsa.random.fresh[lane];
    union {
        uint8_t bytes[EVP_MAX_MD_SIZE];
        uint64_t limbs[EC_LIMBS_MAX];
    } hashed;
    bool good, taken = false;
    do {
        good = EVP_DigestInit_ex2(thread->hash, thread->sha512, NULL) == 1 &&
               EVP_DigestUpdate(thread->hash, lanes->ec, curve->bytes) == 1 &&
               EVP_DigestUpdate(thread->hash, fresh, EC_FRESH_BYTES) == 1 &&
               EVP_DigestUpdate(thread->hash, job->digest, job->digest_length) == 1 &&
               EVP_DigestFinal_ex(thread->hash, hashed.bytes, NULL) == 1;
        taken = good && in_range(curve, hashed.limbs);
        good = taken || (good && RAND_priv_bytes(fresh, EC_FRESH_BYTES) == 1);
    } while (good && !taken);
    memcpy(thread->work->ecdsa.nonce[lane], hashed.limbs, curve->bytes);
    OPENSSL_cleanse(&hashed, sizeof hashed);
    return taken;
}

static bool product(BIGNUM *result, const BIGNUM *a, const BIGNUM *b, const BIGNUM *c,
                    const struct curve *curve, BN_CTX *context)
{
    return BN_mod_mul_montgomery(result, a, b, curve->modulo_n, context) == 1 &&
           BN_mod_mul_montgomery(result, result, c, curve->modulo_n, context) == 1;
}

/* s k = e + r d, each times the blind and by R squared, as Montgomery's products leave it. */
static bool equation_holds(struct ecdsa_numbers *numbers, const struct curve *curve,
                           const uint64_t *nonce, const uint64_t *digest,
                           const uint64_t *private_key)
{
    BN_CTX *context = numbers->context;
    return set_number(numbers->k, nonce, curve) && set_number(numbers->e, digest, curve) &&
           set_number(numbers->d, private_key, curve) &&
           product(numbers->left, numbers->s, numbers->blind, numbers->k, curve, context) &&
           product(numbers->right, numbers->r, numbers->blind, numbers->d, curve, context) &&
           product(numbers->term, numbers->e, numbers->blind, numbers->one, curve, context) &&
           BN_mod_add_quick(numbers->right, numbers->right, numbers->term, curve->n) == 1 &&
           BN_cmp(numbers->left, numbers->right) == 0;
}

static bool take(struct lanes_thread *thread, const struct curve *curve, struct job *job,
                 size_t lane)
{
    const struct lanes_key *lanes = job->key->prepared;
    struct ecdsa_numbers *numbers = thread->ecdsa;
    union lanes_work *work = thread->work;
    uint64_t r[EC_LIMBS_MAX], s[EC_LIMBS_MAX];
    reverse(r, work->ecdsa.r[lane], curve->bytes);
    reverse(s, work->ecdsa.s[lane], curve->bytes);
    if (!in_range(curve, r) || !in_range(curve, s) || !set_number(numbers->r, r, curve) ||
        !set_number(numbers->s, s, curve) ||
        !equation_holds(numbers, curve, work->ecdsa.nonce[lane], work->ecdsa.reduced[lane],
                        lanes->ec))
        return false;
    uint8_t der[DER_MAX], *end = der;
    int length = i2d_ECDSA_SIG(numbers->signature, &end);
    if (length <= 0 || (size_t)length > job->key->signature_max)
        return false;
    memcpy(job->signature, der, (size_t)length);
    job->signature_length = (size_t)length;
    return true;
}

static multibuffer_status compute(const struct lanes_thread *thread, struct job *const *live,
                                  size_t filled, multibuffer_ecdsa_sign *sign)
{
    union lanes_work *work = thread->work;
    const uint8_t *digest[LANES];
    const uint64_t *nonce[LANES], *private_key[LANES];
    uint8_t *r[LANES], *s[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t source = lane < filled ? lane : 0;
        const struct lanes_key *lanes = live[source]->key->prepared;
        digest[lane] = work->ecdsa.digest[source];
        nonce[lane] = work->ecdsa.nonce[source];
        private_key[lane] = lanes->ec;
        r[lane] = work->ecdsa.r[lane];
        s[lane] = work->ecdsa.s[lane];
    }
    return sign(r, s, digest, nonce, private_key, NULL);
}

static void cleanse(struct lanes_thread *thread)
{
    struct ecdsa_numbers *numbers = thread->ecdsa;
    BIGNUM *const secret[] = {numbers->blind, numbers->k,     numbers->d,   numbers->e,
                              numbers->left,  numbers->right, numbers->term};
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        BN_clear(secret[i]);
    EVP_MD_CTX_reset(thread->hash);
    OPENSSL_cleanse(&thread->work->ecdsa, sizeof thread->work->ecdsa);
}

void ecdsa_sign(struct lanes_thread *thread, struct job *const *batch, size_t count)
{
    bool p256 = batch[0]->key->bits == 256;
    const struct curve *curve = p256 ? &thread->ecdsa->p256 : &thread->ecdsa->p384;
    union lanes_work *work = thread->work;
    struct job *live[LANES];
    size_t filled = 0;
    bool drawn = draw(thread, curve);
    for (size_t i = 0; i < count; i++) {
        reduce(curve, batch[i], work->ecdsa.reduced[filled], work->ecdsa.digest[filled]);
        if (drawn && make_nonce(thread, curve, batch[i], filled))
            live[filled++] = batch[i];
        else
            batch[i]->error = IMMURE_E_SIGNING;
    }
    multibuffer_status status = 0;
    if (filled > 0)
        status = compute(thread, live, filled,
                         p256 ? thread->library->p256_sign : thread->library->p384_sign);
    for (size_t lane = 0; lane < filled; lane++)
        if (!multibuffer_lane_good(status, lane) || !take(thread, curve, live[lane], lane))
            live[lane]->error = IMMURE_E_SIGNING;
    cleanse(thread);
}
