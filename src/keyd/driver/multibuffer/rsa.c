/* RSA with the Chinese remainder theorem, in eight lanes. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "keyd/driver/multibuffer/encoding.h"
#include "keyd/driver/multibuffer/lanes.h"

/* crypto_mb needs e = 65537, and two primes that are half as long as the modulus. */
static bool shape_good(const struct key *key)
{
    BIGNUM *e = NULL, *p = NULL, *q = NULL, *third = NULL;
    bool good = EVP_PKEY_get_bn_param(key->pair, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
                EVP_PKEY_get_bn_param(key->pair, OSSL_PKEY_PARAM_RSA_FACTOR1, &p) == 1 &&
                EVP_PKEY_get_bn_param(key->pair, OSSL_PKEY_PARAM_RSA_FACTOR2, &q) == 1 &&
                EVP_PKEY_get_bn_param(key->pair, OSSL_PKEY_PARAM_RSA_FACTOR3, &third) != 1 &&
                BN_is_word(e, RSA_F4) && BN_num_bits(p) == key->bits / 2 &&
                BN_num_bits(q) == key->bits / 2;
    BN_free(e);
    BN_clear_free(p);
    BN_clear_free(q);
    BN_clear_free(third);
    return good;
}

bool rsa_prepare(struct lanes_key *lanes, const struct key *key)
{
    size_t bytes = (size_t)key->bits / 8;
    return shape_good(key) && key->signature_max == bytes &&
           lanes_number_get(key, OSSL_PKEY_PARAM_RSA_FACTOR1, lanes->rsa.p, bytes / 2) &&
           lanes_number_get(key, OSSL_PKEY_PARAM_RSA_FACTOR2, lanes->rsa.q, bytes / 2) &&
           lanes_number_get(key, OSSL_PKEY_PARAM_RSA_EXPONENT1, lanes->rsa.dp, bytes / 2) &&
           lanes_number_get(key, OSSL_PKEY_PARAM_RSA_EXPONENT2, lanes->rsa.dq, bytes / 2) &&
           lanes_number_get(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, lanes->rsa.iq, bytes / 2) &&
           (lanes->rsa.public = encoding_key_new(key->pair)) != NULL && halves_prepare(lanes, key);
}

void rsa_release(struct lanes_key *lanes)
{
    encoding_key_free(lanes->rsa.public);
    halves_release(lanes);
}

static const EVP_MD *find_hash(const struct lanes_thread *thread, const struct job *job)
{
    const EVP_MD *const hashes[] = {thread->sha256, thread->sha384, thread->sha512};
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        if (EVP_MD_is_a(hashes[i], job->scheme->digest))
            return hashes[i];
    return NULL;
}

/* Returns how many are in lanes 0 and up; `live` is which. */
static size_t encode(struct lanes_thread *thread, struct job *const *batch, size_t count,
                     struct job **live)
{
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        struct job *job = batch[i];
        const struct lanes_key *lanes = job->key->prepared;
        const EVP_MD *hash = find_hash(thread, job);
        if (hash != NULL && encoding_make(thread->work->rsa.encoded[filled], lanes->rsa.public,
                                          hash, job->scheme->pss, job->digest, job->digest_length))
            live[filled++] = job;
        else
            job->error = IMMURE_E_SIGNING;
    }
    return filled;
}

static multibuffer_status sign_whole(struct lanes_thread *thread, struct job *const *live,
                                     size_t filled)
{
    const struct multibuffer_library *library = thread->library;
    union lanes_work *work = thread->work;
    const uint64_t *p[LANES], *q[LANES], *dp[LANES], *dq[LANES], *iq[LANES];
    const uint8_t *encoded[LANES];
    uint8_t *signature[LANES];
    int bits = live[0]->key->bits;
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t source = lane < filled ? lane : 0;
        const struct lanes_key *lanes = live[source]->key->prepared;
        p[lane] = lanes->rsa.p;
        q[lane] = lanes->rsa.q;
        dp[lane] = lanes->rsa.dp;
        dq[lane] = lanes->rsa.dq;
        iq[lane] = lanes->rsa.iq;
        encoded[lane] = work->rsa.encoded[source];
        signature[lane] = work->rsa.signature[lane];
    }
    return library->rsa_private(encoded, signature, p, q, dp, dq, iq, bits,
                                library->rsa_private_method(bits), work->rsa.scratch);
}

static multibuffer_status compute(struct lanes_thread *thread, struct job *const *live,
                                  size_t filled)
{
    bool by_halves = filled <= HALVES_MAX && halves_serve(live[0]->key);
    return by_halves ? halves_sign(thread, live, filled) : sign_whole(thread, live, filled);
}

size_t rsa_scratch_size(const struct multibuffer_library *library, int bits)
{
    const void *private = library->rsa_private_method(bits);
    if (private == NULL)
        return 0;
    int whole = library->rsa_scratch_size(private);
    int half = library->exponentiate_scratch_size(bits / 2);
    return (size_t)(whole > half ? whole : half);
}

void rsa_sign(struct lanes_thread *thread, struct job *const *batch, size_t count)
{
    union lanes_work *work = thread->work;
    struct job *live[LANES];
    int bits = batch[0]->key->bits;
    size_t bytes = (size_t)bits / 8;
    size_t filled = encode(thread, batch, count, live);
    multibuffer_status status = filled > 0 ? compute(thread, live, filled) : 0;
    for (size_t lane = 0; lane < filled; lane++) {
        struct job *job = live[lane];
        if (multibuffer_lane_good(status, lane)) {
            memcpy(job->result, work->rsa.signature[lane], bytes);
            job->result_length = bytes;
        } else {
            job->error = IMMURE_E_SIGNING;
        }
    }
    OPENSSL_cleanse(work, offsetof(union lanes_work, rsa.scratch));
    OPENSSL_cleanse(work->rsa.scratch, rsa_scratch_size(thread->library, bits));
}
