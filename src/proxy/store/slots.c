#include "proxy/store/slots.h"

#include <stdlib.h>

#define COUNT_FIRST 64

uint32_t slots_find(const struct slots *slots, uint64_t hash,
                    bool (*is_it)(const void *context, uint32_t number), const void *context)
{
    for (size_t i = 0; i < slots->count; i++) {
        uint32_t slot = slots->slots[(hash + i) & (slots->count - 1)];
        if (slot == 0)
            break;
        if (is_it(context, slot - 1))
            return slot - 1;
    }
    return UINT32_MAX;
}

static void put(struct slots *slots, uint64_t hash, uint32_t slot)
{
    size_t place = hash & (slots->count - 1);
    while (slots->slots[place] != 0)
        place = (place + 1) & (slots->count - 1);
    slots->slots[place] = slot;
    slots->used++;
}

static bool grow(struct slots *slots, uint64_t (*hash_of)(const void *context, uint32_t number),
                 const void *context)
{
    size_t count = slots->count > 0 ? 2 * slots->count : COUNT_FIRST;
    struct slots more = {.slots = calloc(count, sizeof *more.slots), .count = count};
    if (more.slots == NULL)
        return false;
    for (size_t i = 0; i < slots->count; i++)
        if (slots->slots[i] != 0)
            put(&more, hash_of(context, slots->slots[i] - 1), slots->slots[i]);
    free(slots->slots);
    *slots = more;
    return true;
}

bool slots_add(struct slots *slots, uint64_t hash, uint32_t number,
               uint64_t (*hash_of)(const void *context, uint32_t number), const void *context)
{
    if (2 * (slots->used + 1) > slots->count && !grow(slots, hash_of, context))
        return false;
    put(slots, hash, number + 1);
    return true;
}

void slots_free(struct slots *slots)
{
    free(slots->slots);
    *slots = (struct slots){0};
}
