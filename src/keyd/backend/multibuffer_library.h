/*
 * Intel's crypto_mb (Cryptography Primitives Library, multi-buffer), found at run time: eight
 * operations at a time, one in each lane of the processor's vectors. Its headers belong to a
 * package that a build need not have, so what is called is declared here.
 *
 * Numbers are little-endian 64-bit limbs, zero-padded to the full size; messages, digests and
 * signatures are bytes, most significant first. Sizes are not checked, nor are lanes compared.
 */
#ifndef KEYD_BACKEND_MULTIBUFFER_LIBRARY_H
#define KEYD_BACKEND_MULTIBUFFER_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES 8

/* enum MBX_ALGO */
enum multibuffer_number {
    MULTIBUFFER_RSA_2048 = 1,
    MULTIBUFFER_RSA_3072 = 2,
    MULTIBUFFER_RSA_4096 = 3,
    MULTIBUFFER_P256 = 5,
    MULTIBUFFER_P384 = 6,
    MULTIBUFFER_ED25519 = 14 /* from .so.12 on; the number is nothing's in .so.11 */
};

/* Four bits a lane, 0 being success. */
typedef uint32_t multibuffer_status;

typedef const uint8_t *const lanes_in[LANES];
typedef uint8_t *const lanes_out[LANES];
typedef const uint64_t *const lanes_number[LANES];

typedef multibuffer_status multibuffer_ecdsa_sign(lanes_out r, lanes_out s, lanes_in digest,
                                                  lanes_number nonce, lanes_number private_key,
                                                  uint8_t *unused);

struct multibuffer_library {
    void *handle;
    const char *name; /* as it was asked for */

    /* A mask of how many lanes it has for the algorithm on this processor; 0: none. */
    uint64_t (*algorithm_info)(int number);

    const void *(*rsa_private_method)(int bits);
    const void *(*rsa_public_method)(int bits); /* for e = 65537 */
    int (*rsa_scratch_size)(const void *method);
    /* The scratch is aligned to 64. */
    multibuffer_status (*rsa_private)(lanes_in from, lanes_out to, lanes_number p, lanes_number q,
                                      lanes_number dp, lanes_number dq, lanes_number iq, int bits,
                                      const void *method, uint8_t *scratch);
    multibuffer_status (*rsa_public)(lanes_in from, lanes_out to, lanes_number n, int bits,
                                     const void *method, uint8_t *scratch);

    /* base^exponent mod modulus; the modulus has a top bit, the base is below it. The table for a
     * window of the exponent is read whole for each, and so the time does not depend on it. */
    multibuffer_status (*exponentiate)(uint64_t *const power[LANES], lanes_number base,
                                       lanes_number exponent, int exponent_bits,
                                       lanes_number modulus, int modulus_bits, uint8_t *scratch,
                                       int scratch_size);
    int (*exponentiate_scratch_size)(int modulus_bits);

    multibuffer_ecdsa_sign *p256_sign, *p384_sign;

    multibuffer_status (*ed25519_sign)(lanes_out r, lanes_out s, lanes_in message,
                                       const uint32_t message_length[LANES], lanes_in private_key,
                                       lanes_in public_key);
};

/* `path` NULL: the versions that are known, newest first. False: one line in `reason`. Never
 * unloaded. */
bool multibuffer_library_open(struct multibuffer_library *library, const char *path, char *reason,
                              size_t size);

static inline bool multibuffer_lane_good(multibuffer_status status, size_t lane)
{
    return (status >> 4 * lane & 0xF) == 0;
}

#endif
