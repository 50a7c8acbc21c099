/*
 * Open addressing: finds the number of an item by a hash. At most half of the slots are in use. A
 * slot keeps the upper half of the hash, so that items whose hashes differ are not looked at, and
 * none has to be hashed again when slots become more.
 */
#ifndef PROXY_STORE_SLOTS_H
#define PROXY_STORE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slot {
    uint32_t hash;
    uint32_t item; /* its number plus 1, or 0 */
};

struct slots {
    struct slot *slots;
    size_t count; /* a power of two, or 0 */
    size_t used;
};

/* `is_it` says whether the item of this number is the wanted one. Returns its number, or
 * UINT32_MAX: there is none. */
uint32_t slots_find(const struct slots *slots, uint64_t hash,
                    bool (*is_it)(const void *context, uint32_t number), const void *context);
/* Adds an item that is not there yet. False: out of memory. */
bool slots_add(struct slots *slots, uint64_t hash, uint32_t number);
void slots_free(struct slots *slots);

#endif
