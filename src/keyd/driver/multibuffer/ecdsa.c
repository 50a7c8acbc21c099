/*
 * ECDSA (FIPS 186-5, section 6.4) in eight lanes. The nonces are made here. They are hedged, so
 * that neither a failing random generator nor a fault that makes two digests the same repeats one.
 * A candidate that is out of range is rejected and not reduced, because the time of a reduction
 * would say something about it.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "keyd/driver/multibuffer/ecdsa.h"

#define DER_MAX 128 /* of a signature on P-384 */

bool ecdsa_prepare(struct lanes_key *lanes, const struct key *key)
{
    size_t bytes = (size_t)key->bits / 8;
    return key->spki_length > 2 * bytes &&
           lanes_number_get(key, OSSL_PKEY_PARAM_PRIV_KEY, lanes->ec, bytes);
}

static bool in_range(const struct curve *curve, const uint64_t *number)
{
    uint64_t difference[EC_LIMBS_MAX], any = 0;
    for (size_t i = 0; i < curve->limbs; i++)
        any |= number[i];
    bool below = ecdsa_subtract(difference, number, curve->order, curve->limbs);
    OPENSSL_cleanse(difference, sizeof difference);
    return below && any != 0;
}

/* Asks the random generator once for a whole batch, because each call costs a system call. */
static bool draw(const struct lanes_thread *thread, const struct curve *curve)
{
    union lanes_work *work = thread->work;
    bool good;
    do
        good = RAND_priv_bytes((uint8_t *)&work->ecdsa.random, sizeof work->ecdsa.random) == 1;
    while (good && !in_range(curve, work->ecdsa.random.blind));
    return good && ecdsa_set_number(thread->ecdsa->blind, work->ecdsa.random.blind, curve);
}

/* The nonce is SHA-512(private key, fresh random bytes, digest), cut to the length of n. */
static bool make_nonce(const struct lanes_thread *thread, const struct curve *curve,
                       const struct job *job, size_t lane)
{
    union lanes_work *work = thread->work;
    uint8_t *fresh = work->ecdsa.random.fresh[lane];
    size_t bytes = curve->bytes;
    union {
        uint8_t bytes[EVP_MAX_MD_SIZE];
        uint64_t limbs[EC_LIMBS_MAX];
    } hashed;
    bool good, taken = false;
    do {
        good = EVP_DigestInit_ex2(thread->hash, thread->sha512, NULL) == 1 &&
               EVP_DigestUpdate(thread->hash, work->ecdsa.private[lane], bytes) == 1 &&
               EVP_DigestUpdate(thread->hash, fresh, EC_FRESH_BYTES) == 1 &&
               EVP_DigestUpdate(thread->hash, job->digest, job->digest_length) == 1 &&
               EVP_DigestFinal_ex(thread->hash, hashed.bytes, NULL) == 1;
        taken = good && in_range(curve, hashed.limbs);
        good = taken || (good && RAND_priv_bytes(fresh, EC_FRESH_BYTES) == 1);
    } while (good && !taken);
    memcpy(work->ecdsa.nonce[lane], hashed.limbs, bytes);
    OPENSSL_cleanse(&hashed, sizeof hashed);
    return taken;
}

/* Writes the lane's signature as DER into the job. */
static bool take(struct lanes_thread *thread, const struct curve *curve, struct job *job,
                 size_t lane)
{
    struct ecdsa_numbers *numbers = thread->ecdsa;
    union lanes_work *work = thread->work;
    uint64_t r[EC_LIMBS_MAX], s[EC_LIMBS_MAX];
    ecdsa_reverse(r, work->ecdsa.r[lane], curve->bytes);
    ecdsa_reverse(s, work->ecdsa.s[lane], curve->bytes);
    if (!in_range(curve, r) || !in_range(curve, s) || !ecdsa_set_number(numbers->r, r, curve) ||
        !ecdsa_set_number(numbers->s, s, curve))
        return false;
    uint8_t der[DER_MAX], *end = der;
    int length = i2d_ECDSA_SIG(numbers->signature, &end);
    if (length <= 0 || (size_t)length > job->key->signature_max)
        return false;
    memcpy(job->result, der, (size_t)length);
    job->result_length = (size_t)length;
    return true;
}

static multibuffer_status compute(const struct lanes_thread *thread, size_t filled,
                                  multibuffer_ecdsa_sign *sign)
{
    union lanes_work *work = thread->work;
    const uint8_t *digest[LANES];
    const uint64_t *nonce[LANES], *private_key[LANES];
    uint8_t *r[LANES], *s[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t source = lane < filled ? lane : 0;
        digest[lane] = work->ecdsa.digest[source];
        nonce[lane] = work->ecdsa.nonce[source];
        private_key[lane] = work->ecdsa.private[source];
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
        const struct lanes_key *lanes = batch[i]->key->prepared;
        uint64_t number[EC_LIMBS_MAX];
        ecdsa_reduce(curve, batch[i], number, work->ecdsa.digest[filled]);
        memcpy(work->ecdsa.private[filled], lanes -> ec, curve -> bytes);
        if (drawn && make_nonce(thread, curve, batch[i], filled))
            live[filled++] = batch[i];
        else
            batch[i]->error = IMMURE_E_SIGNING;
    }
    multibuffer_status status = 0;
    if (filled > 0)
        status =
            compute(thread, filled, p256 ? thread->library->p256_sign : thread->library->p384_sign);
    for (size_t lane = 0; lane < filled; lane++)
        if (!multibuffer_lane_good(status, lane) || !take(thread, curve, live[lane], lane))
            live[lane]->error = IMMURE_E_SIGNING;
    ecdsa_verify(thread, curve, live, filled);
    cleanse(thread);
}
