/*
 * ECDSA in lanes: the numbers that libcrypto computes with beside them, and the verification of
 * what comes out (multibuffer_ecdsa_verify.c).
 */
#ifndef KEYD_DRIVER_MULTIBUFFER_ECDSA_H
#define KEYD_DRIVER_MULTIBUFFER_ECDSA_H

#include "keyd/driver/multibuffer/lanes.h"

struct curve {
    size_t limbs, bytes; /* of numbers modulo n */
    uint64_t order[EC_LIMBS_MAX];
    EC_GROUP *group;
    BIGNUM *n;
    BN_MONT_CTX *modulo_n, *modulo_p; /* of the group and of the field */
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

/* Of bytes, most significant first, or of limbs: the other. */
void ecdsa_reverse(void *to, const void *from, size_t length);
bool ecdsa_set_number(BIGNUM *number, const uint64_t *limbs, const struct curve *curve);
/* The digest's leftmost bits as a number modulo n (FIPS 186-5, section 6.4.1), in both forms. */
void ecdsa_reduce(const struct curve *curve, const struct job *job, uint64_t *number,
                  uint8_t *bytes);
/* a - b, in a time that does not depend on them; returns the borrow: a < b. */
bool ecdsa_subtract(uint64_t *difference, const uint64_t *a, const uint64_t *b, size_t limbs);

/* The jobs in lanes 0 and up, whose signatures are in the jobs, and nonces and private keys in
 * `work`. Marks those that are verified, and sets the error of those that are wrong. */
void ecdsa_verify(struct lanes_thread *thread, const struct curve *curve, struct job *const *live,
                  size_t filled);
/* With public points in `work`: the status of crypto_mb. */
multibuffer_status ecdsa_verify_p384(const struct multibuffer_library *library,
                                     const union lanes_work *work, size_t filled);

#endif
