#include "proxy/store/compare.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/store/layout.h"
#include "proxy/store/slots.h"

struct wanted_place {
    const struct store *store;
    uint32_t route;
    const char *path;
};

static const char *path_of(const struct store *store, uint32_t number)
{
    return store_text(store, store_certificate(store, number)->files[STORE_CHAIN_FILE].path);
}

static struct wanted_place place_of(const struct store *store, uint32_t number)
{
    return (struct wanted_place){store, store_certificate(store, number)->route,
                                 path_of(store, number)};
}

static uint64_t hash_of(const struct wanted_place *place)
{
    return store_name_hash(0, place->route, place->path);
}

/* context->store is the one that `number` is in. */
static bool is_there(const void *context, uint32_t number)
{
    const struct wanted_place *place = context;
    return store_certificate(place->store, number)->route == place->route &&
           strcmp(path_of(place->store, number), place->path) == 0;
}

static bool index_all(const struct store *store, struct slots *slots)
{
    for (uint32_t i = 0; i < store_certificate_count(store); i++) {
        const struct wanted_place place = place_of(store, i);
        if (!slots_add(slots, hash_of(&place), i))
            return false;
    }
    return true;
}

static bool same_bytes(const struct store *a, struct store_span in_a, const struct store *b,
                       struct store_span in_b)
{
    return in_a.length == in_b.length &&
           memcmp(store_bytes(a, in_a), store_bytes(b, in_b), in_a.length) == 0;
}

static bool same_chain(const struct store *a, const struct store_certificate *in_a,
                       const struct store *b, const struct store_certificate *in_b)
{
    const uint32_t *numbers_a = store_chain(a, in_a), *numbers_b = store_chain(b, in_b);
    bool same = in_a->chain_count == in_b->chain_count;
    for (uint32_t i = 0; same && i < in_a->chain_count; i++) {
        size_t length_a, length_b;
        const uint8_t *der_a = store_chain_certificate(a, numbers_a[i], &length_a);
        const uint8_t *der_b = store_chain_certificate(b, numbers_b[i], &length_b);
        same = length_a == length_b && memcmp(der_a, der_b, length_a) == 0;
    }
    return same;
}

static bool is_same(const struct store *a, uint32_t in_a, const struct store *b, uint32_t in_b)
{
    const struct store_certificate *of_a = store_certificate(a, in_a);
    const struct store_certificate *of_b = store_certificate(b, in_b);
    return same_bytes(a, of_a->leaf, b, of_b->leaf) &&
           same_bytes(a, of_a->staple, b, of_b->staple) && same_chain(a, of_a, b, of_b);
}

static void compare_all(const struct store *before, const struct store *after,
                        const struct slots *slots, bool *found,
                        void (*note)(void *owner, enum store_change change, uint32_t number),
                        void *owner)
{
    for (uint32_t i = 0; i < store_certificate_count(after); i++) {
        struct wanted_place place = place_of(after, i);
        place.store = before;
        uint32_t old = slots_find(slots, hash_of(&place), is_there, &place);
        if (old == STORE_NONE)
            note(owner, STORE_ADDED, i);
        else if (!is_same(before, old, after, i))
            note(owner, STORE_REPLACED, i);
        if (old != STORE_NONE)
            found[old] = true;
    }
    for (uint32_t i = 0; i < store_certificate_count(before); i++)
        if (!found[i])
            note(owner, STORE_REMOVED, i);
}

bool store_compare(const struct store *before, const struct store *after,
                   void (*note)(void *owner, enum store_change change, uint32_t number),
                   void *owner)
{
    struct slots slots = {0};
    bool *found = calloc(store_certificate_count(before) + 1, sizeof *found);
    bool good = found != NULL && index_all(before, &slots);
    if (good)
        compare_all(before, after, &slots, found, note, owner);
    slots_free(&slots);
    free(found);
    return good;
}

static void note_kinds(const struct store *store, unsigned *kinds, size_t route_count)
{
    for (uint32_t i = 0; i < store_certificate_count(store); i++) {
        const struct store_certificate *certificate = store_certificate(store, i);
        if (certificate->route < route_count)
            kinds[certificate->route] |= 1u << certificate->kind;
    }
}

bool store_same_kinds(const struct store *before, const struct store *after, size_t route_count)
{
    unsigned *kinds = calloc(2 * route_count + 1, sizeof *kinds);
    if (kinds == NULL)
        return false;
    note_kinds(before, kinds, route_count);
    note_kinds(after, kinds + route_count, route_count);
    bool same = memcmp(kinds, kinds + route_count, route_count * sizeof *kinds) == 0;
    free(kinds);
    return same;
}
