/* What the device computes: RSA's two primitives, ECDSA signatures and point multiplication. */
#include <openssl/ec.h>

#include <qat/cpa_cy_ec.h>
#include <qat/cpa_cy_rsa.h>

#include "device.h"

static BIGNUM *number(BN_CTX *context, const CpaFlatBuffer *bytes)
{
    BIGNUM *result = BN_CTX_get(context);
    return result != NULL ? BN_bin2bn(bytes->pData, (int)bytes->dataLenInBytes, result) : NULL;
}

static bool number_write(const BIGNUM *value, CpaFlatBuffer *out)
{
    return BN_bn2binpad(value, out->pData, (int)out->dataLenInBytes) >= 0;
}

/* RFC 8017, section 5.1.2, step 2b */
static bool rsa_private(BN_CTX *context, const void *data, bool wrong, CpaFlatBuffer *const out[2])
{
    const CpaCyRsaDecryptOpData *operation = data;
    const CpaCyRsaPrivateKeyRep2 *key = &operation->pRecipientPrivateKey->privateKeyRep2;
    BIGNUM *p = number(context, &key->prime1P), *q = number(context, &key->prime2Q);
    BIGNUM *dp = number(context, &key->exponent1Dp), *dq = number(context, &key->exponent2Dq);
    BIGNUM *inverse = number(context, &key->coefficientQInv);
    BIGNUM *input = number(context, &operation->inputData);
    BIGNUM *m1 = BN_CTX_get(context), *m2 = BN_CTX_get(context), *h = BN_CTX_get(context);
    return h != NULL && input != NULL && BN_mod_exp(m1, input, dp, p, context) &&
           BN_mod_exp(m2, input, dq, q, context) && (!wrong || BN_add_word(m2, 1)) &&
           BN_mod_sub(h, m1, m2, p, context) && BN_mod_mul(h, h, inverse, p, context) &&
           BN_mul(h, h, q, context) && BN_add(h, h, m2) && number_write(h, out[0]);
}

static bool rsa_public(BN_CTX *context, const void *data, bool wrong, CpaFlatBuffer *const out[2])
{
    const CpaCyRsaEncryptOpData *operation = data;
    BIGNUM *n = number(context, &operation->pPublicKey->modulusN);
    BIGNUM *e = number(context, &operation->pPublicKey->publicExponentE);
    BIGNUM *result = number(context, &operation->inputData);
    return result != NULL && BN_mod_exp(result, result, e, n, context) &&
           (!wrong || BN_mod_add(result, result, BN_value_one(), n, context)) &&
           number_write(result, out[0]);
}

/* (x, y) = scalar * (x, y) on y^2 = x^3 + ax + b modulo p */
static bool multiply(BN_CTX *context, const CpaFlatBuffer *p, const CpaFlatBuffer *a,
                     const CpaFlatBuffer *b, const BIGNUM *scalar, BIGNUM *x, BIGNUM *y)
{
    EC_GROUP *group =
        EC_GROUP_new_curve_GFp(number(context, p), number(context, a), number(context, b), context);
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    bool good = point != NULL && EC_POINT_set_affine_coordinates(group, point, x, y, context) &&
                EC_POINT_mul(group, point, NULL, point, scalar, context) &&
                EC_POINT_get_affine_coordinates(group, point, x, y, context);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return good;
}

static bool point_multiply(BN_CTX *context, const void *data, bool wrong,
                           CpaFlatBuffer *const out[2])
{
    const CpaCyEcGenericPointMultiplyOpData *operation = data;
    const CpaCyEcCurveParametersWeierstrass *curve =
        &operation->pCurve->parameters.weierstrassParameters;
    BIGNUM *x = number(context, &operation->xP), *y = number(context, &operation->yP);
    BIGNUM *scalar = number(context, &operation->k);
    return scalar != NULL && (!wrong || BN_add_word(scalar, 1)) &&
           multiply(context, &curve->p, &curve->a, &curve->b, scalar, x, y) &&
           number_write(x, out[0]) && number_write(y, out[1]);
}

/* FIPS 186-5, section 6.4.1; the caller chose the nonce k. */
static bool ecdsa_sign(BN_CTX *context, const void *data, bool wrong, CpaFlatBuffer *const out[2])
{
    const CpaCyEcdsaSignRSOpData *operation = data;
    BIGNUM *r = number(context, &operation->xg), *y = number(context, &operation->yg);
    BIGNUM *n = number(context, &operation->n), *k = number(context, &operation->k);
    BIGNUM *digest = number(context, &operation->m), *s = number(context, &operation->d);
    return s != NULL && multiply(context, &operation->q, &operation->a, &operation->b, k, r, y) &&
           BN_nnmod(r, r, n, context) && BN_mod_mul(s, s, r, n, context) &&
           BN_mod_add(s, s, digest, n, context) && BN_mod_inverse(k, k, n, context) != NULL &&
           BN_mod_mul(s, s, k, n, context) &&
           (!wrong || BN_mod_add(s, s, BN_value_one(), n, context)) && number_write(r, out[0]) &&
           number_write(s, out[1]);
}

CpaStatus cpaCyRsaDecrypt(const CpaInstanceHandle instance, const CpaCyGenFlatBufCbFunc callback,
                          void *tag, const CpaCyRsaDecryptOpData *data, CpaFlatBuffer *out)
{
    return device_submit(
        instance,
        &(struct request){
            .compute = rsa_private, .callback = callback, .tag = tag, .data = data, .out = {out}});
}

CpaStatus cpaCyRsaEncrypt(const CpaInstanceHandle instance, const CpaCyGenFlatBufCbFunc callback,
                          void *tag, const CpaCyRsaEncryptOpData *data, CpaFlatBuffer *out)
{
    return device_submit(
        instance,
        &(struct request){
            .compute = rsa_public, .callback = callback, .tag = tag, .data = data, .out = {out}});
}

CpaStatus cpaCyEcdsaSignRS(const CpaInstanceHandle instance, const CpaCyEcdsaSignRSCbFunc callback,
                           void *tag, const CpaCyEcdsaSignRSOpData *data, CpaBoolean *status,
                           CpaFlatBuffer *r, CpaFlatBuffer *s)
{
    (void)status; /* of the synchronous form */
    return device_submit(instance, &(struct request){.compute = ecdsa_sign,
                                                     .callback_pair = callback,
                                                     .tag = tag,
                                                     .data = data,
                                                     .out = {r, s}});
}

CpaStatus cpaCyEcGenericPointMultiply(const CpaInstanceHandle instance,
                                      const CpaCyEcPointMultiplyCbFunc callback, void *tag,
                                      const CpaCyEcGenericPointMultiplyOpData *data,
                                      CpaBoolean *status, CpaFlatBuffer *x, CpaFlatBuffer *y)
{
    (void)status;
    return device_submit(instance, &(struct request){.compute = point_multiply,
                                                     .callback_pair = callback,
                                                     .tag = tag,
                                                     .data = data,
                                                     .out = {x, y}});
}
