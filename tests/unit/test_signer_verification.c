/* Faulty signatures of libcrypto itself are repeated or withheld, for every type of key. The fault
 * is between the signer and libcrypto, or in a key that is damaged in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "multibuffer_fixture.h"

#define SIGNATURE_MAX 8192
#define FOR_EVER 1000

enum fault {
    FAULT_NONE,
    FAULT_FIRST_BYTE, /* a bit is flipped */
    FAULT_MIDDLE,
    FAULT_LAST_BYTE,
    FAULT_SHORT,
    FAULT_EMPTY,
    FAULT_UNWRITTEN,
    FAULT_STALE,      /* the previous signature, of another message */
    FAULT_MESSAGE,    /* a bit of the input is flipped before signing */
    FAULT_BASE_POINT, /* ECDSA: k G is a wrong point, and the rest of the signature is consistent
                         with it */
    FAULT_REFUSED,
    FAULTS
};

static struct {
    enum fault fault;
    unsigned times; /* how many more signatures are faulty */
    uint8_t before[SIGNATURE_MAX];
    size_t before_length;
    EVP_PKEY *pair; /* the pair that signs */
} broken;

static const struct driver *const drivers[] = {&driver_openssl, NULL};
static struct signer signer;

static const struct row {
    const char *type;
    unsigned bits;
    const char *curve;
    enum wire_key_type key_type;
} rows[] = {
    {"RSA", 2048, NULL, WIRE_KEY_RSA},        {"RSA-PSS", 2048, NULL, WIRE_KEY_RSA_PSS},
    {"EC", 0, "P-256", WIRE_KEY_EC},          {"EC", 0, "P-384", WIRE_KEY_EC},
    {"EC", 0, "P-521", WIRE_KEY_EC},          {"ED25519", 0, NULL, WIRE_KEY_ED25519},
    {"ML-DSA-44", 0, NULL, WIRE_KEY_MLDSA44}, {"ML-DSA-87", 0, NULL, WIRE_KEY_MLDSA87},
};
#define ROWS (sizeof rows / sizeof rows[0])

static struct key keys[ROWS], others[ROWS]; /* without a pair if libcrypto lacks the type */

static EVP_PKEY *generate(const struct row *row)
{
    if (row->bits == 0)
        return row->curve != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, row->type, row->curve)
                                  : EVP_PKEY_Q_keygen(NULL, NULL, row->type);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, row->type, NULL);
    unsigned bits = row->bits;
    const OSSL_PARAM parameters[] = {OSSL_PARAM_uint(OSSL_PKEY_PARAM_RSA_BITS, &bits),
                                     OSSL_PARAM_END};
    EVP_PKEY *pair = NULL;
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(context, parameters), 1);
    assert_int_equal(EVP_PKEY_generate(context, &pair), 1);
    EVP_PKEY_CTX_free(context);
    return pair;
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        EVP_PKEY *pair = generate(&rows[i]), *other = pair != NULL ? generate(&rows[i]) : NULL;
        ERR_clear_error();
        if (pair == NULL)
            continue;
        keys[i] = fixture_key(pair, rows[i].key_type, 2 * i);
        others[i] = fixture_key(other, rows[i].key_type, 2 * i + 1);
    }
    return signer_init(&signer, drivers) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        key_free_halves(&keys[i]);
        key_free_halves(&others[i]);
    }
    signer_release(&signer);
    return 0;
}

/* (x(2 k G), (e + x(2 k G) d) / k) */
static void sign_from_wrong_point(uint8_t *signature, size_t *length, const uint8_t *digest,
                                  size_t digest_length)
{
    char name[32];
    BIGNUM *d = NULL;
    BN_CTX *context = BN_CTX_new();
    assert_int_equal(EVP_PKEY_get_group_name(broken.pair, name, sizeof name, NULL), 1);
    assert_int_equal(EVP_PKEY_get_bn_param(broken.pair, OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(OBJ_sn2nid(name));
    const BIGNUM *n = EC_GROUP_get0_order(group);
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *k = BN_new(), *r = BN_new(), *s = BN_new(), *e = BN_new();
    size_t most = (size_t)BN_num_bytes(n);
    BN_priv_rand_range(k, n);
    BN_bin2bn(digest, (int)(digest_length < most ? digest_length : most), e);
    EC_POINT_mul(group, point, k, NULL, NULL, context);
    EC_POINT_dbl(group, point, point, context);
    EC_POINT_get_affine_coordinates(group, point, r, NULL, context);
    BN_nnmod(r, r, n, context);
    BN_mod_mul(s, r, d, n, context);
    BN_mod_add(s, s, e, n, context);
    BN_mod_inverse(k, k, n, context);
    BN_mod_mul(s, s, k, n, context);
    ECDSA_SIG *made = ECDSA_SIG_new();
    ECDSA_SIG_set0(made, r, s);
    *length = (size_t)i2d_ECDSA_SIG(made, &(unsigned char *){signature});
    ECDSA_SIG_free(made);
    BN_free(k);
    BN_free(e);
    BN_free(d);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    BN_CTX_free(context);
}

typedef int sign_function(void *context, unsigned char *signature, size_t *length,
                          const unsigned char *message, size_t message_length);

static int sign_broken(sign_function *sign, void *context, uint8_t *signature, size_t *length,
                       const uint8_t *message, size_t message_length)
{
    enum fault fault = broken.times > 0 ? broken.fault : FAULT_NONE;
    uint8_t changed[512];
    if (fault == FAULT_NONE)
        return sign(context, signature, length, message, message_length);
    broken.times--;
    if (fault == FAULT_REFUSED)
        return 0;
    assert_true(message_length <= sizeof changed);
    memcpy(changed, message, message_length);
    changed[0] ^= fault == FAULT_MESSAGE; /* the first byte, because ECDSA may cut a digest's end */
    uint8_t made[SIGNATURE_MAX];
    size_t made_length = *length;
    if (sign(context, made, &made_length, changed, message_length) != 1)
        return 0;
    if (fault == FAULT_BASE_POINT)
        sign_from_wrong_point(made, &made_length, message, message_length);
    if (fault == FAULT_STALE) {
        memcpy(made, broken.before, broken.before_length);
        made_length = broken.before_length;
    }
    made[0] ^= fault == FAULT_FIRST_BYTE;
    made[made_length / 2] ^= fault == FAULT_MIDDLE ? 0x40 : 0;
    made[made_length - 1] ^= fault == FAULT_LAST_BYTE;
    *length = fault == FAULT_EMPTY ? 0 : made_length - (fault == FAULT_SHORT);
    if (fault != FAULT_UNWRITTEN)
        memcpy(signature, made, *length);
    return 1;
}

int __real_EVP_PKEY_sign(EVP_PKEY_CTX *context, unsigned char *signature, size_t *length,
                         const unsigned char *digest, size_t digest_length);
int __wrap_EVP_PKEY_sign(EVP_PKEY_CTX *context, unsigned char *signature, size_t *length,
                         const unsigned char *digest, size_t digest_length);
static int sign_digest(void *context, unsigned char *signature, size_t *length,
                       const unsigned char *digest, size_t digest_length)
{
    return __real_EVP_PKEY_sign(context, signature, length, digest, digest_length);
}
int __wrap_EVP_PKEY_sign(EVP_PKEY_CTX *context, unsigned char *signature, size_t *length,
                         const unsigned char *digest, size_t digest_length)
{
    return sign_broken(sign_digest, context, signature, length, digest, digest_length);
}

int __real_EVP_DigestSign(EVP_MD_CTX *context, unsigned char *signature, size_t *length,
                          const unsigned char *message, size_t message_length);
int __wrap_EVP_DigestSign(EVP_MD_CTX *context, unsigned char *signature, size_t *length,
                          const unsigned char *message, size_t message_length);
static int sign_message(void *context, unsigned char *signature, size_t *length,
                        const unsigned char *message, size_t message_length)
{
    return __real_EVP_DigestSign(context, signature, length, message, message_length);
}
int __wrap_EVP_DigestSign(EVP_MD_CTX *context, unsigned char *signature, size_t *length,
                          const unsigned char *message, size_t message_length)
{
    return sign_broken(sign_message, context, signature, length, message, message_length);
}

static struct job *sign(const struct key *key, const struct wire_scheme *scheme,
                        const char *message)
{
    struct job *job = job_new(key, scheme, (const uint8_t *)message, strlen(message));
    assert_non_null(job);
    signer_sign_by(&signer, &driver_openssl, &job, 1);
    assert_int_equal(ERR_peek_error(), 0);
    return job;
}

static void assert_withheld(struct job *job)
{
    static const uint8_t nothing[SIGNATURE_MAX];
    assert_int_equal(job->error, IMMURE_E_SIGNING);
    assert_int_equal(job->result_length, 0);
    assert_memory_equal(job->result, nothing, job->key->signature_max);
    job_free(job);
}

static void assert_good(struct job *job, bool again)
{
    assert_int_equal(job->error, IMMURE_OK);
    assert_int_equal(job->signed_again, again);
    assert_true(signature_good(job));
    job_free(job);
}

static void try_fault(const struct key *key, const struct wire_scheme *scheme, enum fault fault)
{
    struct job *job = sign(key, scheme, "the one before");
    memcpy(broken.before, job->result, job->result_length);
    broken.before_length = job->result_length;
    broken.pair = key->pair;
    assert_good(job, false);
    broken.fault = fault;
    broken.times = 1;
    assert_good(sign(key, scheme, "a fault that passes"), true);
    broken.times = FOR_EVER;
    assert_withheld(sign(key, scheme, "a fault that stays"));
    broken.times = 0;
    assert_good(sign(key, scheme, "as if nothing had been"), false);
}

static void test_each_fault_of_each_scheme(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t scheme = 0; scheme < wire_scheme_count && keys[i].pair != NULL; scheme++)
            for (enum fault fault = FAULT_FIRST_BYTE; fault < FAULTS; fault++)
                if (wire_schemes[scheme].key_type == rows[i].key_type &&
                    (fault != FAULT_BASE_POINT || rows[i].key_type == WIRE_KEY_EC))
                    try_fault(&keys[i], &wire_schemes[scheme], fault);
}

static const struct wire_scheme *scheme_of(const struct key *key)
{
    size_t i = 0;
    while (wire_schemes[i].key_type != key->type)
        i++;
    return &wire_schemes[i];
}

/* Makes a new signer, because cached contexts hold the undamaged keys. */
static void start_afresh(void)
{
    signer_release(&signer);
    assert_true(signer_init(&signer, drivers));
}

/* A pair with the private half of one key and the public half of another. */
static void test_private_half_of_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS && keys[i].pair != NULL; i++) {
        EVP_PKEY *pair = keys[i].pair;
        keys[i].pair = others[i].pair;
        start_afresh();
        assert_withheld(sign(&keys[i], scheme_of(&keys[i]), "signed by another"));
        assert_good(sign(&others[i], scheme_of(&others[i]), "of the other"), false);
        keys[i].pair = pair;
        start_afresh();
    }
}

/* The damaged key's signatures are withheld and logged; other keys are not affected. */
static void test_damaged_copy(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS && keys[i].pair != NULL; i++) {
        EVP_PKEY *public = keys[i].public;
        keys[i].public = others[i].public;
        start_afresh();
        assert_withheld(sign(&keys[i], scheme_of(&keys[i]), "not by this copy"));
        assert_good(sign(&others[i], scheme_of(&others[i]), "of the other"), false);
        keys[i].public = public;
        start_afresh();
        assert_good(sign(&keys[i], scheme_of(&keys[i]), "by this"), false);
    }
}

/* Flips a bit of the private exponent or scalar, and leaves the public half unchanged. */
static EVP_PKEY *damage(const EVP_PKEY *pair)
{
    OSSL_PARAM *parameters = NULL;
    EVP_PKEY *damaged = NULL;
    assert_int_equal(EVP_PKEY_todata(pair, EVP_PKEY_KEYPAIR, &parameters), 1);
    static const char *const names[] = {OSSL_PKEY_PARAM_PRIV_KEY, OSSL_PKEY_PARAM_RSA_D,
                                        OSSL_PKEY_PARAM_RSA_EXPONENT1};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        OSSL_PARAM *found = OSSL_PARAM_locate(parameters, names[i]);
        if (found != NULL && found->data_size > 0)
            ((uint8_t *)found->data)[found->data_size / 2] ^= 4;
    }
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, (EVP_PKEY *)pair, NULL);
    if (EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &damaged, EVP_PKEY_KEYPAIR, parameters);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    ERR_clear_error();
    return damaged; /* NULL: libcrypto detects the damage */
}

static void test_damaged_private_half(void **state)
{
    (void)state;
    size_t tried = 0;
    for (size_t i = 0; i < ROWS && keys[i].pair != NULL; i++) {
        EVP_PKEY *pair = keys[i].pair, *damaged = damage(pair);
        if (damaged == NULL)
            continue;
        keys[i].pair = damaged;
        start_afresh();
        assert_withheld(sign(&keys[i], scheme_of(&keys[i]), "with a damaged key"));
        keys[i].pair = pair;
        start_afresh();
        EVP_PKEY_free(damaged);
        tried++;
    }
    assert_true(tried >= 5); /* all but Ed25519, whose public half follows the private one */
}

/* With `verify = not-ecdsa`, wrong ECDSA signatures are released, as configured. */
static void test_unverified(void **state)
{
    (void)state;
    struct key *key = &keys[2];
    key->unverified = true;
    broken.fault = FAULT_LAST_BYTE;
    broken.times = 1;
    struct job *job = sign(key, scheme_of(key), "not looked at");
    assert_int_equal(job->error, IMMURE_OK);
    assert_false(signature_good(job));
    job_free(job);
    ERR_clear_error();
    broken.times = 0;
    key->unverified = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_of_each_scheme),
        cmocka_unit_test(test_private_half_of_another),
        cmocka_unit_test(test_damaged_copy),
        cmocka_unit_test(test_damaged_private_half),
        cmocka_unit_test(test_unverified),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
