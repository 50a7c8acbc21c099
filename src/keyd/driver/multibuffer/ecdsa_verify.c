/*
 * ECDSA signatures from the lanes are verified before they are released (FIPS 186-5,
 * section 6.4.2), as they stand in the job, against the job's digest and the public key in the
 * SubjectPublicKeyInfo.
 *
 * Whoever knows the nonce k need not multiply the public point for that. libcrypto computes
 * R = k G and Q = d G by its own multiplication of the base point. If s k = e + r d (mod n), then
 *
 *     (e / s) G + (r / s) Q = ((e + r d) / s) G = k G = R
 *
 * so it remains to check that r = x(R), and once for each key in a batch that d G = Q. On P-256
 * this takes a fifth of the time of a verification. On P-384 libcrypto is so slow that the lanes
 * themselves verify.
 *
 * For keys whose signatures are not verified only the equation s k = e + r d is checked: it detects
 * every fault but one in the multiplication of the base point. All its factors are blinded by a
 * random one.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the projective coordinates of points */
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/driver/multibuffer/ecdsa.h"

static bool curve_make(struct curve *curve, int nid, BN_CTX *context)
{
    curve->group = EC_GROUP_new_by_curve_name(nid);
    curve->n = curve->group != NULL ? BN_dup(EC_GROUP_get0_order(curve->group)) : NULL;
    curve->modulo_n = BN_MONT_CTX_new();
    curve->modulo_p = BN_MONT_CTX_new();
    BIGNUM *p = BN_new();
    bool good = curve->n != NULL && curve->modulo_n != NULL && curve->modulo_p != NULL &&
                p != NULL && EC_GROUP_get_curve(curve->group, p, NULL, NULL, context) == 1 &&
                BN_MONT_CTX_set(curve->modulo_n, curve->n, context) == 1 &&
                BN_MONT_CTX_set(curve->modulo_p, p, context) == 1;
    BN_free(p);
    if (!good)
        return false;
    curve->bytes = (size_t)BN_num_bytes(curve->n);
    curve->limbs = curve->bytes / sizeof(uint64_t);
    return BN_bn2lebinpad(curve->n, (uint8_t *)curve->order, (int)curve->bytes) > 0;
}

static void curve_free(struct curve *curve)
{
    EC_GROUP_free(curve->group);
    BN_free(curve->n);
    BN_MONT_CTX_free(curve->modulo_n);
    BN_MONT_CTX_free(curve->modulo_p);
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
        curve_make(&numbers->p384, NID_secp384r1, numbers->context) &&
        (numbers->point = EC_POINT_new(numbers->p256.group)) != NULL)
        return numbers;
    ecdsa_numbers_free(numbers);
    return NULL;
}

void ecdsa_numbers_free(struct ecdsa_numbers *numbers)
{
    if (numbers == NULL)
        return;
    EC_POINT_free(numbers->point);
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

void ecdsa_reverse(void *to, const void *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[length - 1 - i];
}

bool ecdsa_subtract(uint64_t *difference, const uint64_t *a, const uint64_t *b, size_t limbs)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < limbs; i++) {
        uint64_t without = a[i] - b[i];
        difference[i] = without - borrow;
        borrow = (uint64_t)(a[i] < b[i]) | (uint64_t)(without < borrow);
    }
    return borrow != 0;
}

void ecdsa_reduce(const struct curve *curve, const struct job *job, uint64_t *number,
                  uint8_t *bytes)
{
    size_t length = job->digest_length < curve->bytes ? job->digest_length : curve->bytes;
    uint64_t difference[EC_LIMBS_MAX];
    memset(number, 0, curve->bytes);
    ecdsa_reverse(number, job->digest, length);
    if (!ecdsa_subtract(difference, number, curve->order, curve->limbs))
        memcpy(number, difference, curve->bytes);
    ecdsa_reverse(bytes, number, curve->bytes);
}

bool ecdsa_set_number(BIGNUM *number, const uint64_t *limbs, const struct curve *curve)
{
    return BN_lebin2bn((const uint8_t *)limbs, (int)curve->bytes, number) != NULL;
}

/* a b c / R^2: the two Montgomery multiplications leave this factor. */
static bool product(BIGNUM *result, const BIGNUM *a, const BIGNUM *b, const BIGNUM *c,
                    BN_MONT_CTX *modulo, BN_CTX *context)
{
    return BN_mod_mul_montgomery(result, a, b, modulo, context) == 1 &&
           BN_mod_mul_montgomery(result, result, c, modulo, context) == 1;
}

/* Checks s k = e + r d, with both sides multiplied by the blind. Leaves k and d set. */
static bool equation_holds(struct ecdsa_numbers *numbers, const struct curve *curve,
                           const uint64_t *nonce, const uint64_t *digest,
                           const uint64_t *private_key)
{
    BN_CTX *context = numbers->context;
    BN_MONT_CTX *modulo = curve->modulo_n;
    return ecdsa_set_number(numbers->k, nonce, curve) &&
           ecdsa_set_number(numbers->e, digest, curve) &&
           ecdsa_set_number(numbers->d, private_key, curve) &&
           product(numbers->left, numbers->s, numbers->blind, numbers->k, modulo, context) &&
           product(numbers->right, numbers->r, numbers->blind, numbers->d, modulo, context) &&
           product(numbers->term, numbers->e, numbers->blind, numbers->one, modulo, context) &&
           BN_mod_add_quick(numbers->right, numbers->right, numbers->term, curve->n) == 1 &&
           BN_cmp(numbers->left, numbers->right) == 0;
}

/*
 * Checks x(k G) = r with libcrypto. The point is (X / Z^2, Y / Z^3), so it compares X with r Z^2
 * modulo p, which saves the division. An x of n or more, which one of 2^32 points has, counts as
 * wrong.
 */
static bool base_point_good(struct ecdsa_numbers *numbers, const struct curve *curve)
{
    BN_CTX *context = numbers->context;
    BN_MONT_CTX *modulo = curve->modulo_p;
    BIGNUM *x = numbers->left, *z = numbers->right, *of_r = numbers->term;
    return EC_POINT_mul(curve->group, numbers->point, numbers->k, NULL, NULL, context) == 1 &&
           EC_POINT_get_Jprojective_coordinates_GFp(curve->group, numbers->point, x, NULL, z,
                                                    context) == 1 &&
           product(of_r, z, z, numbers->r, modulo, context) &&
           product(x, x, numbers->one, numbers->one, modulo, context) && BN_cmp(x, of_r) == 0;
}

/* The end of the SubjectPublicKeyInfo: the uncompressed point without its first byte. */
static const uint8_t *public_point(const struct key *key, const struct curve *curve)
{
    return key->spki + key->spki_length - 2 * curve->bytes;
}

/* Whether the private key that signed, which is still in `d`, belongs to the public key. */
static bool key_good(struct ecdsa_numbers *numbers, const struct curve *curve,
                     const struct key *key)
{
    uint8_t point[1 + 2 * EC_BYTES_MAX];
    size_t length = 1 + 2 * curve->bytes;
    return EC_POINT_mul(curve->group, numbers->point, numbers->d, NULL, NULL, numbers->context) ==
               1 &&
           EC_POINT_point2oct(curve->group, numbers->point, POINT_CONVERSION_UNCOMPRESSED, point,
                              length, numbers->context) == length &&
           memcmp(point + 1, public_point(key, curve), length - 1) == 0;
}

/* Whether an earlier lane that was verified has the same key and used the same private number. */
static bool key_seen(const struct lanes_thread *thread, struct job *const *live, size_t lane,
                     const struct curve *curve)
{
    for (size_t other = 0; other < lane; other++)
        if (live[other]->verified && live[other]->key == live[lane]->key)
            return CRYPTO_memcmp(thread->work->ecdsa.private[other],
                                 thread -> work -> ecdsa.private[lane], curve -> bytes) == 0;
    return false;
}

/* Reads the signature back from the job, as it would be released, into the lane. */
static bool read_signature(struct lanes_thread *thread, const struct curve *curve,
                           const struct job *job, size_t lane)
{
    struct ecdsa_numbers *numbers = thread->ecdsa;
    union lanes_work *work = thread->work;
    const uint8_t *at = job->result;
    return d2i_ECDSA_SIG(&numbers->signature, &at, (long)job->result_length) != NULL &&
           at == job->result + job->result_length &&
           BN_bn2binpad(numbers->r, work->ecdsa.r[lane], (int)curve->bytes) > 0 &&
           BN_bn2binpad(numbers->s, work->ecdsa.s[lane], (int)curve->bytes) > 0;
}

static bool lane_good(struct lanes_thread *thread, const struct curve *curve,
                      struct job *const *live, size_t lane)
{
    struct ecdsa_numbers *numbers = thread->ecdsa;
    union lanes_work *work = thread->work;
    struct job *job = live[lane];
    uint64_t digest[EC_LIMBS_MAX];
    ecdsa_reduce(curve, job, digest, work->ecdsa.digest[lane]);
    if (!read_signature(thread, curve, job, lane) ||
        !equation_holds(numbers, curve, work->ecdsa.nonce[lane], digest, work->ecdsa.private[lane]))
        return false;
    if (job->key->unverified || curve == &numbers->p384)
        return true;
    job->verified = base_point_good(numbers, curve) &&
                    (key_seen(thread, live, lane, curve) || key_good(numbers, curve, job->key));
    return job->verified;
}

multibuffer_status ecdsa_verify_p384(const struct multibuffer_library *library,
                                     const union lanes_work *work, size_t filled)
{
    const uint8_t *r[LANES], *s[LANES], *digest[LANES];
    const uint64_t *x[LANES], *y[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t source = lane < filled ? lane : 0;
        r[lane] = work->ecdsa.r[source];
        s[lane] = work->ecdsa.s[source];
        digest[lane] = work->ecdsa.digest[source];
        x[lane] = work->ecdsa.x[source];
        y[lane] = work->ecdsa.y[source];
    }
    return library->p384_verify(r, s, digest, x, y, NULL, NULL);
}

static void verify_in_lanes(struct lanes_thread *thread, const struct curve *curve,
                            struct job *const *live, size_t filled)
{
    union lanes_work *work = thread->work;
    for (size_t lane = 0; lane < filled; lane++) {
        const uint8_t *point = public_point(live[lane]->key, curve);
        ecdsa_reverse(work->ecdsa.x[lane], point, curve->bytes);
        ecdsa_reverse(work->ecdsa.y[lane], point + curve->bytes, curve->bytes);
    }
    multibuffer_status status = ecdsa_verify_p384(thread->library, work, filled);
    for (size_t lane = 0; lane < filled; lane++) {
        struct job *job = live[lane];
        job->verified = job->error == IMMURE_OK && multibuffer_lane_good(status, lane);
        if (!job->verified && !job->key->unverified)
            job->error = IMMURE_E_SIGNING;
    }
}

void ecdsa_verify(struct lanes_thread *thread, const struct curve *curve, struct job *const *live,
                  size_t filled)
{
    bool all_unverified = true;
    for (size_t lane = 0; lane < filled; lane++) {
        if (live[lane]->error == IMMURE_OK && !lane_good(thread, curve, live, lane))
            live[lane]->error = IMMURE_E_SIGNING;
        all_unverified &= live[lane]->key->unverified;
    }
    if (curve == &thread->ecdsa->p384 && !all_unverified)
        verify_in_lanes(thread, curve, live, filled);
}
