#include "keyd/sign/compact_samples.h"

#include "base/log.h"

/* A key of a new kind. False: out of memory. */
static bool make_kind(struct compact_samples *samples, struct compact_keys *keys,
                      struct compact_key *compact, struct kinds *kinds, const struct driver *wanted,
                      struct opener *opener)
{
    char reason[256];
    const struct key *key = compact_use(keys, compact), *ready;
    if (key == NULL)
        return false;
    enum opener_result result = opener_open(opener, key, &ready);
    compact_lend(key);
    if (result == OPENER_GOOD &&
        kinds_add_key(kinds, (struct key *)ready, wanted, reason, sizeof reason)) {
        compact->kind = compact_use_of(key)->key.kind = ready->kind;
        samples->keys[samples->count++] = key;
        return true;
    }
    if (result == OPENER_GOOD)
        log_error("%s: key \"%s\": %s", key->location, key->name, reason);
    compact_take_back(keys, key);
    compact_drop(keys, key);
    return result != OPENER_NO_MEMORY;
}

/* What is in a section `key` is served from there. */
static bool find_kind(struct compact_samples *samples, struct keyring *keyring,
                      struct compact_key *key, struct kinds *kinds, const struct driver *wanted,
                      struct opener *opener)
{
    key->kind = kinds_find(kinds, (enum wire_key_type)key->type, key->bits, wanted);
    bool good =
        key->kind != NULL || make_kind(samples, &keyring->compact, key, kinds, wanted, opener);
    if (keyring_find(keyring, key->id) != NULL || (good && key->kind == NULL))
        compact_remove(&keyring->compact, key);
    return good;
}

bool samples_find(struct compact_samples *samples, struct keyring *keyring, struct kinds *kinds,
                  const struct driver *wanted)
{
    struct opener opener = {.reader = NULL};
    bool good = true;
    for (size_t i = 0; i < keyring->compact.group_count; i++) {
        const struct key_group *group = &keyring->compact.groups[i];
        for (size_t place = 0; good && place < group->count; place++)
            if (group->keys[place] != NULL)
                good = find_kind(samples, keyring, group->keys[place], kinds, wanted, &opener);
    }
    opener_release(&opener);
    if (!good)
        log_error("keys: out of memory");
    return good;
}

void samples_release(struct compact_samples *samples, struct compact_keys *keys)
{
    while (samples->count > 0) {
        const struct key *key = samples->keys[--samples->count];
        compact_take_back(keys, key);
        compact_drop(keys, key);
    }
}
