#include "proxy/store/refusals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/store/layout.h"

struct search {
    const struct refusals *refusals;
    const uint8_t *key_id;
};

static bool is_it(const void *context, uint32_t number)
{
    const struct search *search = context;
    return memcmp(search->refusals->of[number].key_id, search->key_id, STORE_HASH_SIZE) == 0;
}

static uint32_t find(const struct refusals *refusals, const uint8_t *key_id)
{
    const struct search search = {refusals, key_id};
    return slots_find(&refusals->slots, store_hash(0, key_id, STORE_HASH_SIZE), is_it, &search);
}

bool refusals_add(struct refusals *refusals, const uint8_t key_id[static STORE_HASH_SIZE],
                  const char *reason)
{
    if (find(refusals, key_id) != UINT32_MAX)
        return true;
    struct refusal *more = reallocarray(refusals->of, refusals->count + 1, sizeof *more);
    if (more == NULL)
        return false;
    refusals->of = more;
    struct refusal *added = &more[refusals->count];
    memcpy(added->key_id, key_id, sizeof added->key_id);
    snprintf(added->reason, sizeof added->reason, "%s", reason);
    if (!slots_add(&refusals->slots, store_hash(0, key_id, STORE_HASH_SIZE), refusals->count))
        return false;
    refusals->count++;
    return true;
}

const char *refusals_find(const struct refusals *refusals,
                          const uint8_t key_id[static STORE_HASH_SIZE])
{
    uint32_t number = find(refusals, key_id);
    return number != UINT32_MAX ? refusals->of[number].reason : NULL;
}

void refusals_free(struct refusals *refusals)
{
    free(refusals->of);
    slots_free(&refusals->slots);
    *refusals = (struct refusals){.of = NULL};
}
