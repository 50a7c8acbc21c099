/* SplitMix64 (Steele, Lea and Flood, 2014): for hashes and seeds, never for secrets. */
#ifndef BASE_MIX_H
#define BASE_MIX_H

#include <stdint.h>

/* What the numbers of a sequence differ by, so that adjacent seeds make unlike ones. */
#define MIX_STEP UINT64_C(0x9e3779b97f4a7c15)

/* Each bit of the result depends on all bits of the value; different values have different ones. */
static inline uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

#endif
