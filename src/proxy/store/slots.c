#include "proxy/store/slots.h"

#include <stdlib.h>

#define COUNT_FIRST 64

uint32_t slots_find(const struct slots *slots, uint64_t hash,
                    bool (*is_it)(const void *context, uint32_t number), const void *context)
{
    uint32_t upper = (uint32_t)(hash >> 32);
    for (size_t i = 0; i < slots->count; i++) {
        const struct slot *slot = &slots->slots[(upper + i) & (slots->count - 1)];
        if (slot->item == 0)
            break;
        if (slot->hash == upper && is_it(context, slot->item - 1))
            return slot->item - 1;
    }
    return UINT32_MAX;
}

static void put(struct slots *slots, struct slot added)
{
    size_t place = added.hash & (slots->count - 1);
    while (slots->slots[place].item != 0)
        place = (place + 1) & (slots->count - 1);
    slots->slots[place] = added;
    slots->used++;
}

static bool grow(struct slots *slots)
{
    size_t count = slots->count > 0 ? 2 * slots->count : COUNT_FIRST;
    struct slots more = {.slots = calloc(count, sizeof *more.slots), .count = count};
    if (more.slots == NULL)
        return false;
    for (size_t i = 0; i < slots->count; i++)
        if (slots->slots[i].item != 0)
            put(&more, slots->slots[i]);
    free(slots->slots);
    *slots = more;
    return true;
}

bool slots_add(struct slots *slots, uint64_t hash, uint32_t number)
{
    if (2 * (slots->used + 1) > slots->count && !grow(slots))
        return false;
    put(slots, (struct slot){.hash = (uint32_t)(hash >> 32), .item = number + 1});
    return true;
}

void slots_free(struct slots *slots)
{
    free(slots->slots);
    *slots = (struct slots){0};
}
