/*
 * Open addressing: finds the number of an item by a hash. A slot holds the number plus 1, or 0. At
 * most half of the slots are in use.
 */
#ifndef PROXY_STORE_SLOTS_H
#define PROXY_STORE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots {
    uint32_t *slots;
    size_t count; /* a power of two, or 0 */
    size_t used;
};

/* `is_it` says whether the item of this number is the wanted one. Returns its number, or
 * UINT32_MAX: there is none. */
uint32_t slots_find(const struct slots *slots, uint64_t hash,
                    bool (*is_it)(const void *context, uint32_t number), const void *context);
/* Adds an item that is not there yet. `hash_of` gives the hashes of those that are, when slots
 * become more. False: out of memory. */
bool slots_add(struct slots *slots, uint64_t hash, uint32_t number,
               uint64_t (*hash_of)(const void *context, uint32_t number), const void *context);
void slots_free(struct slots *slots);

#endif
