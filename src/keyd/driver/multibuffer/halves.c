/*
 * RSA by halves: a private operation is one exponentiation modulo p and one modulo q, so eight
 * lanes hold those of four jobs, which take half the time of eight jobs. libcrypto computes the
 * rest, job by job (RFC 8017, section 5.1.2), without branches on secrets: it uses only Montgomery
 * reductions, and the one modular addition that makes no comparison.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "keyd/driver/multibuffer/lanes.h"

struct halves {
    BIGNUM *p, *q;
    BIGNUM *iq, *minus_iq; /* 1/q and -1/q modulo p, in Montgomery form */
    BN_MONT_CTX *modulo_p, *modulo_q;
};

bool halves_serve(const struct key *key)
{
    /* the library has no exponentiation of 1536 bits */
    return key->type == WIRE_KEY_RSA && (key->bits == 2048 || key->bits == 4096);
}

static BIGNUM *number_get(const struct key *key, const char *name)
{
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(key->pair, name, &number) == 1)
        BN_set_flags(number, BN_FLG_CONSTTIME);
    return number;
}

bool halves_prepare(struct lanes_key *lanes, const struct key *key)
{
    if (!halves_serve(key))
        return true;
    struct halves *halves = lanes->rsa.halves = calloc(1, sizeof *halves);
    BN_CTX *context = BN_CTX_new();
    bool good =
        halves != NULL && context != NULL &&
        (halves->p = number_get(key, OSSL_PKEY_PARAM_RSA_FACTOR1)) != NULL &&
        (halves->q = number_get(key, OSSL_PKEY_PARAM_RSA_FACTOR2)) != NULL &&
        (halves->iq = number_get(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1)) != NULL &&
        (halves->minus_iq = BN_new()) != NULL && (halves->modulo_p = BN_MONT_CTX_new()) != NULL &&
        (halves->modulo_q = BN_MONT_CTX_new()) != NULL &&
        BN_MONT_CTX_set(halves->modulo_p, halves->p, context) == 1 &&
        BN_MONT_CTX_set(halves->modulo_q, halves->q, context) == 1 &&
        BN_sub(halves->minus_iq, halves->p, halves->iq) == 1 &&
        BN_to_montgomery(halves->iq, halves->iq, halves->modulo_p, context) == 1 &&
        BN_to_montgomery(halves->minus_iq, halves->minus_iq, halves->modulo_p, context) == 1;
    BN_CTX_free(context);
    return good;
}

void halves_release(struct lanes_key *lanes)
{
    struct halves *halves = lanes->rsa.halves;
    if (halves == NULL)
        return;
    BIGNUM *const secret[] = {halves->p, halves->q, halves->iq, halves->minus_iq};
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        BN_clear_free(secret[i]);
    BN_MONT_CTX_free(halves->modulo_p);
    BN_MONT_CTX_free(halves->modulo_q);
    free(halves);
}

static bool reduce(uint64_t *base, const uint8_t *encoded, size_t bytes, BN_MONT_CTX *modulo,
                   BN_CTX *context)
{
    BN_CTX_start(context);
    BIGNUM *number = BN_CTX_get(context), *reduced = BN_CTX_get(context);
    bool good = reduced != NULL && BN_bin2bn(encoded, (int)bytes, number) != NULL &&
                BN_from_montgomery(reduced, number, modulo, context) == 1 &&
                BN_to_montgomery(reduced, reduced, modulo, context) == 1 &&
                BN_bn2lebinpad(reduced, (uint8_t *)base, (int)(bytes / 2)) > 0;
    BN_CTX_end(context);
    return good;
}

static multibuffer_status exponentiate(struct lanes_thread *thread, struct job *const *live,
                                       size_t filled)
{
    union lanes_work *work = thread->work;
    const uint64_t *base[LANES], *exponent[LANES], *modulus[LANES];
    uint64_t *power[LANES];
    int bits = live[0]->key->bits / 2;
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t job = lane % HALVES_MAX < filled ? lane % HALVES_MAX : 0;
        const struct lanes_key *lanes = live[job]->key->prepared;
        bool by_q = lane >= HALVES_MAX;
        base[lane] = work->rsa.base[by_q ? job + HALVES_MAX : job];
        exponent[lane] = by_q ? lanes->rsa.dq : lanes->rsa.dp;
        modulus[lane] = by_q ? lanes->rsa.q : lanes->rsa.p;
        power[lane] = work->rsa.power[lane];
    }
    return thread->library->exponentiate(power, base, exponent, bits, modulus, bits,
                                         work->rsa.scratch, sizeof work->rsa.scratch);
}

/* s = s_q + q ((s_p - s_q) / q mod p) */
static bool combine(uint8_t *signature, const uint64_t *power_p, const uint64_t *power_q,
                    size_t bytes, const struct halves *halves, BN_CTX *context)
{
    BN_CTX_start(context);
    BIGNUM *s_p = BN_CTX_get(context), *s_q = BN_CTX_get(context), *term = BN_CTX_get(context);
    BIGNUM *s = BN_CTX_get(context);
    int half = (int)(bytes / 2);
    bool good =
        s != NULL && BN_lebin2bn((const uint8_t *)power_p, half, s_p) != NULL &&
        BN_lebin2bn((const uint8_t *)power_q, half, s_q) != NULL &&
        BN_mod_mul_montgomery(s_p, s_p, halves->iq, halves->modulo_p, context) == 1 &&
        BN_mod_mul_montgomery(term, s_q, halves->minus_iq, halves->modulo_p, context) == 1 &&
        BN_mod_add_quick(term, s_p, term, halves->p) == 1 &&
        BN_mul(s, term, halves->q, context) == 1 && BN_add(s, s, s_q) == 1 &&
        BN_bn2binpad(s, signature, (int)bytes) > 0;
    BN_CTX_end(context);
    return good;
}

multibuffer_status halves_sign(struct lanes_thread *thread, struct job *const *live, size_t filled)
{
    union lanes_work *work = thread->work;
    size_t bytes = (size_t)live[0]->key->bits / 8;
    /* a new context for each batch, because its numbers are only wiped when it is freed */
    BN_CTX *context = BN_CTX_new();
    bool good = context != NULL;
    for (size_t job = 0; job < filled && good; job++) {
        const struct halves *halves = ((struct lanes_key *)live[job]->key->prepared)->rsa.halves;
        const uint8_t *encoded = work->rsa.encoded[job];
        good = reduce(work->rsa.base[job], encoded, bytes, halves->modulo_p, context) &&
               reduce(work->rsa.base[job + HALVES_MAX], encoded, bytes, halves->modulo_q, context);
    }
    multibuffer_status status = good ? exponentiate(thread, live, filled) : UINT32_MAX;
    status |= status >> 4 * HALVES_MAX;
    for (size_t job = 0; job < filled && good; job++) {
        const struct halves *halves = ((struct lanes_key *)live[job]->key->prepared)->rsa.halves;
        if (!combine(work->rsa.signature[job], work->rsa.power[job],
                     work->rsa.power[job + HALVES_MAX], bytes, halves, context))
            status |= 1U << 4 * job;
    }
    BN_CTX_free(context);
    return status;
}
