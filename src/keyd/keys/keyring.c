#include "keyd/keys/keyring.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 16

/* An id is the output of SHA-256, so any part of it serves as a hash. */
static struct key **place_of(const struct keyring *keyring, const uint8_t *id)
{
    size_t hash;
    memcpy(&hash, id, sizeof hash);
    for (size_t i = hash;; i++) {
        struct key **place = &keyring->table[i & (keyring->table_size - 1)];
        if (*place == NULL || memcmp((*place)->id, id, WIRE_KEY_ID_SIZE) == 0)
            return place;
    }
}

static bool grow(struct keyring *keyring)
{
    size_t room = keyring->room > 0 ? 2 * keyring->room : ROOM_FIRST;
    struct key **keys = realloc(keyring->keys, room * sizeof(struct key *));
    if (keys == NULL)
        return false;
    keyring->keys = keys;
    struct key **table = calloc(2 * room, sizeof(struct key *));
    if (table == NULL)
        return false;
    free(keyring->table);
    keyring->table = table;
    keyring->table_size = 2 * room;
    keyring->room = room;
    for (size_t i = 0; i < keyring->count; i++)
        *place_of(keyring, keys[i]->id) = keys[i];
    return true;
}

enum keyring_added keyring_add(struct keyring *keyring, struct key *key)
{
    if (keyring->count == keyring->room && !grow(keyring)) {
        key_free(key);
        return KEYRING_NO_MEMORY;
    }
    struct key **place = place_of(keyring, key->id);
    if (*place != NULL) {
        key_free(key);
        return KEYRING_KNOWN;
    }
    key->index = keyring->count;
    *place = keyring->keys[keyring->count++] = key;
    return KEYRING_ADDED;
}

const struct key *keyring_find(const struct keyring *keyring, const uint8_t *id)
{
    return keyring->count > 0 ? *place_of(keyring, id) : NULL;
}

void keyring_number_buckets(struct keyring *keyring)
{
    for (size_t i = 0; i < keyring->count; i++)
        keyring->keys[i]->bucket = i;
    for (size_t i = 0; i < keyring->compact.group_count; i++)
        keyring->compact.groups[i].bucket = keyring->count + i;
    keyring->bucket_count = keyring->count + keyring->compact.group_count;
}

bool keyring_use(struct keyring *keyring, const uint8_t *id, const struct key **key)
{
    *key = keyring_find(keyring, id);
    struct compact_key *compact = *key == NULL ? compact_find(&keyring->compact, id) : NULL;
    if (compact == NULL)
        return true;
    *key = compact_use(&keyring->compact, compact);
    return *key != NULL;
}

void keyring_hold(const struct key *key)
{
    if (key != NULL && key->on_demand)
        compact_hold(key);
}

void keyring_drop(struct keyring *keyring, const struct key *key)
{
    if (key != NULL && key->on_demand)
        compact_drop(&keyring->compact, key);
}

void keyring_free(struct keyring *keyring)
{
    for (size_t i = 0; i < keyring->count; i++)
        key_free(keyring->keys[i]);
    free(keyring->keys);
    free(keyring->table);
    compact_free(&keyring->compact);
    *keyring = KEYRING_INIT;
}
