/*
 * Intel's crypto_mb (Cryptography Primitives Library, multi-buffer), found at run time: eight
 * operations at a time, one in each lane of the vector registers. A build must not depend on its
 * headers, so the callers declare the functions that they call.
 */
#ifndef MULTIBUFFER_MULTIBUFFER_H
#define MULTIBUFFER_MULTIBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES 8

/* enum MBX_ALGO */
enum multibuffer_number {
    MULTIBUFFER_RSA_2048 = 1,
    MULTIBUFFER_RSA_3072 = 2,
    MULTIBUFFER_RSA_4096 = 3,
    MULTIBUFFER_X25519 = 4,
    MULTIBUFFER_P256 = 5,
    MULTIBUFFER_P384 = 6,
    MULTIBUFFER_ED25519 = 14 /* from .so.12 on; .so.11 does not use the number */
};

/* mbx_get_algo_info: a mask of the numbers of lanes that it has for the algorithm on this
 * processor; 0: none. */
typedef uint64_t multibuffer_algorithm_info(int number);

/* Four bits per lane; 0 is success. */
typedef uint32_t multibuffer_status;

typedef const uint8_t *const lanes_in[LANES];
typedef uint8_t *const lanes_out[LANES];

/* A function of the library, and the offset of its pointer in the caller's structure. */
struct multibuffer_symbol {
    const char *name;
    size_t offset;
};

/* Fills in `functions` at the offsets of all `symbols`. If `path` is NULL, it tries the known
 * versions, newest first. Returns the name under which the library was found, which lives as long
 * as `path`, or NULL with one line in `reason`. The library is never unloaded. */
const char *multibuffer_load(const char *path, const struct multibuffer_symbol *symbols,
                             size_t count, void *functions, char *reason, size_t size);

static inline bool multibuffer_lane_good(multibuffer_status status, size_t lane)
{
    return (status >> 4 * lane & 0xF) == 0;
}

#endif
