/*
 * ECDSA in lanes: the numbers that libcrypto computes with, and the verification of the lanes'
 * signatures (ecdsa_verify.c).
 */
#ifndef KEYD_DRIVER_MULTIBUFFER_ECDSA_H
#define KEYD_DRIVER_MULTIBUFFER_ECDSA_H

#include "keyd/driver/multibuffer/lanes.h"

struct curve {
    size_t limbs, bytes; /* of numbers modulo n */
    uint64_t order[EC_LIMBS_MAX];
    EC_GROUP *group;
    BIGNUM *n;
    BN_MONT_CTX *modulo_n, *modulo_p; /* n: the group's order; p: the field's prime */
};

struct ecdsa_numbers {
    struct curve p256, p384;
    BN_CTX *context;
    BIGNUM *one, *blind;
    BIGNUM *k, *d, *e, *left, *right, *term;
    EC_POINT *point; /* on P-256 */
    ECDSA_SIG *signature;
    BIGNUM *r, *s; /* the signature's */
};

/* Reverses the bytes: converts between big-endian bytes and limbs. */
void ecdsa_reverse(void *to, const void *from, size_t length);
bool ecdsa_set_number(BIGNUM *number, const uint64_t *limbs, const struct curve *curve);
/* The digest's leftmost bits as a number modulo n (FIPS 186-5, section 6.4.1), in both forms. */
void ecdsa_reduce(const struct curve *curve, const struct job *job, uint64_t *number,
                  uint8_t *bytes);
/* a - b, in a time that does not depend on them; returns the borrow: a < b. */
bool ecdsa_subtract(uint64_t *difference, const uint64_t *a, const uint64_t *b, size_t limbs);

/* Verifies the jobs of lanes 0 and up. Their signatures are in the jobs, and their nonces and
 * private keys in `work`. Marks good jobs as verified, and sets the error of bad ones. */
void ecdsa_verify(struct lanes_thread *thread, const struct curve *curve, struct job *const *live,
                  size_t filled);
/* The public points are in `work`. Returns crypto_mb's status. */
multibuffer_status ecdsa_verify_p384(const struct multibuffer_library *library,
                                     const union lanes_work *work, size_t filled);

#endif
