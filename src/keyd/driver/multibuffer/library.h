/*
 * The functions of crypto_mb that sign and verify (multibuffer/multibuffer.h).
 *
 * Numbers are little-endian 64-bit limbs, zero-padded to the full size; messages, digests and
 * signatures are bytes, most significant first. The library checks no sizes.
 */
#ifndef KEYD_DRIVER_MULTIBUFFER_LIBRARY_H
#define KEYD_DRIVER_MULTIBUFFER_LIBRARY_H

#include "multibuffer/multibuffer.h"

typedef const uint64_t *const lanes_number[LANES];

typedef multibuffer_status multibuffer_ecdsa_sign(lanes_out r, lanes_out s, lanes_in digest,
                                                  lanes_number nonce, lanes_number private_key,
                                                  uint8_t *unused);

struct multibuffer_library {
    const char *name; /* the name by which it was loaded */

    multibuffer_algorithm_info *algorithm_info;

    const void *(*rsa_private_method)(int bits);
    int (*rsa_scratch_size)(const void *method);
    /* The scratch is aligned to 64. */
    multibuffer_status (*rsa_private)(lanes_in from, lanes_out to, lanes_number p, lanes_number q,
                                      lanes_number dp, lanes_number dq, lanes_number iq, int bits,
                                      const void *method, uint8_t *scratch);

    /* base^exponent mod modulus. The top bit of the modulus is set, and the base is below it. The
     * time does not depend on the exponent: the whole table is read for each of its windows. */
    multibuffer_status (*exponentiate)(uint64_t *const power[LANES], lanes_number base,
                                       lanes_number exponent, int exponent_bits,
                                       lanes_number modulus, int modulus_bits, uint8_t *scratch,
                                       int scratch_size);
    int (*exponentiate_scratch_size)(int modulus_bits);

    multibuffer_ecdsa_sign *p256_sign, *p384_sign;
    /* Takes the public point in affine coordinates. */
    multibuffer_status (*p384_verify)(lanes_in r, lanes_in s, lanes_in digest, lanes_number x,
                                      lanes_number y, const lanes_number *z, uint8_t *unused);

    multibuffer_status (*ed25519_sign)(lanes_out r, lanes_out s, lanes_in message,
                                       const uint32_t message_length[LANES], lanes_in private_key,
                                       lanes_in public_key);
    multibuffer_status (*ed25519_verify)(lanes_in r, lanes_in s, lanes_in message,
                                         const uint32_t message_length[LANES], lanes_in public_key);
};

/* `path` NULL: the system's library. False: one line in `reason`. */
bool multibuffer_library_open(struct multibuffer_library *library, const char *path, char *reason,
                              size_t size);

#endif
