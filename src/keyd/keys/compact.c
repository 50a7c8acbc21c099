/* The set of compact keys: the table by id, and the groups. */
#include "keyd/keys/compact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "keyd/keys/packed.h"

#define ROOM_FIRST 16

/* ---- groups ---- */

bool compact_init(struct compact_keys *keys, const struct compact_config *config)
{
    *keys = (struct compact_keys){.packed = packed_new(),
                                  .ready_max = (size_t)config->ready_max,
                                  .ecdsa_unverified = config->ecdsa_unverified};
    list_init(&keys->ready);
    keys->groups = calloc(config->group_count + 1, sizeof *keys->groups);
    if (keys->groups == NULL || keys->packed == NULL) {
        log_error("keys: out of memory");
        return false;
    }
    for (; keys->group_count < config->group_count; keys->group_count++) {
        struct key_group *group = &keys->groups[keys->group_count];
        char where[512];
        group->config = &config->groups[keys->group_count];
        snprintf(where, sizeof where, "%s: keys \"%s\"", group->config->location,
                 group->config->name);
        if (!allow_resolve(&group->allow, &group->config->allow, where)) {
            keys->group_count++;
            return false;
        }
    }
    return true;
}

struct key_group *compact_find_group(const struct compact_keys *keys, const char *name)
{
    for (size_t i = 0; i < keys->group_count; i++)
        if (strcmp(keys->groups[i].config->name, name) == 0)
            return &keys->groups[i];
    return NULL;
}

/* An array that has room for one element more; NULL: out of memory, and the array is as it was. */
static void *with_room(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    size_t more = *room > 0 ? 2 * *room : ROOM_FIRST;
    void *larger = reallocarray(array, more, size);
    if (larger != NULL)
        *room = more;
    return larger;
}

/* Gives the key a place, which it keeps: clients go through the keys by place. */
static bool enter_group(struct key_group *group, struct compact_key *key)
{
    if (group->hole_count > 0) {
        key->place = group->holes[--group->hole_count];
        group->keys[key->place] = key;
        return true;
    }
    void *larger = group->count < KEY_GROUP_KEYS_MAX
                       ? with_room(group->keys, group->count, &group->room, sizeof *group->keys)
                       : NULL;
    if (larger == NULL)
        return false;
    group->keys = larger;
    key->place = (uint32_t)group->count;
    group->keys[group->count++] = key;
    return true;
}

/* Without memory for a hole the place stays unused. */
static void leave_group(struct key_group *group, const struct compact_key *key)
{
    void *larger =
        with_room(group->holes, group->hole_count, &group->hole_room, sizeof *group->holes);
    group->keys[key->place] = NULL;
    if (larger == NULL)
        return;
    group->holes = larger;
    group->holes[group->hole_count++] = key->place;
}

/* ---- the table ---- */

/* The id should be the output of SHA-256, and comes from the supervisor in any case. */
static size_t home_of(const struct compact_keys *keys, const uint8_t *id)
{
    size_t hash;
    memcpy(&hash, id, sizeof hash);
    return hash & (keys->table_size - 1);
}

static struct compact_key **place_of(const struct compact_keys *keys, const uint8_t *id)
{
    for (size_t i = home_of(keys, id);; i = (i + 1) & (keys->table_size - 1)) {
        struct compact_key **place = &keys->table[i];
        if (*place == NULL || memcmp((*place)->id, id, WIRE_KEY_ID_SIZE) == 0)
            return place;
    }
}

struct compact_key *compact_find(const struct compact_keys *keys, const uint8_t *id)
{
    return keys->table_size > 0 ? *place_of(keys, id) : NULL;
}

static bool grow(struct compact_keys *keys)
{
    size_t size = keys->table_size > 0 ? 2 * keys->table_size : 2 * ROOM_FIRST;
    struct compact_key **before = keys->table;
    size_t size_before = keys->table_size;
    struct compact_key **table = calloc(size, sizeof(struct compact_key *));
    if (table == NULL)
        return false;
    keys->table = table;
    keys->table_size = size;
    for (size_t i = 0; i < size_before; i++)
        if (before[i] != NULL)
            *place_of(keys, before[i]->id) = before[i];
    free(before);
    return true;
}

/* Moves those that follow to where a search finds them without the one that leaves. */
static void leave_table(struct compact_keys *keys, const struct compact_key *key)
{
    size_t mask = keys->table_size - 1;
    size_t hole = (size_t)(place_of(keys, key->id) - keys->table);
    for (size_t next = (hole + 1) & mask; keys->table[next] != NULL; next = (next + 1) & mask) {
        size_t home = home_of(keys, keys->table[next]->id);
        if (((next - home) & mask) < ((next - hole) & mask))
            continue;
        keys->table[hole] = keys->table[next];
        hole = next;
    }
    keys->table[hole] = NULL;
}

/* ---- keys ---- */

static struct compact_key *key_new(struct packed *packed, const uint8_t *id, const char *name,
                                   const struct envelope *envelope)
{
    size_t size = strlen(name) + 1;
    struct compact_key *key = malloc(sizeof *key + size);
    if (key == NULL)
        return NULL;
    *key = (struct compact_key){.der = packed_add(packed, envelope->der, envelope->length),
                                .length = (uint16_t)envelope->length,
                                .bits = (uint16_t)envelope->bits,
                                .type = (uint8_t)envelope->type};
    memcpy(key->id, id, sizeof key->id);
    memcpy(key->name, name, size);
    if (key->der != NULL)
        return key;
    free(key);
    return NULL;
}

static void key_discard(struct compact_keys *keys, struct compact_key *key)
{
    packed_remove(keys->packed, key->der, key->length);
    free(key->proof);
    free(key);
}

enum compact_added compact_add(struct compact_keys *keys, struct key_group *group,
                               const uint8_t id[static WIRE_KEY_ID_SIZE], const char *name,
                               const struct envelope *envelope, struct compact_key **added)
{
    if ((*added = compact_find(keys, id)) != NULL)
        return COMPACT_KNOWN;
    if (2 * (keys->count + 1) > keys->table_size && !grow(keys))
        return COMPACT_NO_ROOM;
    struct compact_key *key = key_new(keys->packed, id, name, envelope);
    if (key == NULL)
        return COMPACT_NO_ROOM;
    key->group = (uint8_t)(group - keys->groups);
    if (!enter_group(group, key)) {
        key_discard(keys, key);
        return COMPACT_NO_ROOM;
    }
    *place_of(keys, id) = *added = key;
    keys->count++;
    return COMPACT_ADDED;
}

void compact_remove(struct compact_keys *keys, struct compact_key *key)
{
    leave_table(keys, key);
    leave_group(&keys->groups[key->group], key);
    keys->count--;
    key->removed = true;
    if (key->use != NULL && key->use->jobs == 0)
        compact_forget(keys, key);
    compact_discard_removed(keys, key);
}

void compact_discard_removed(struct compact_keys *keys, struct compact_key *key)
{
    if (!key->removed || key->use != NULL)
        return;
    key_discard(keys, key);
    keys->left = true;
}

static void free_key(struct compact_keys *keys, struct compact_key *key)
{
    if (key != NULL && key->use != NULL)
        compact_forget(keys, key);
    if (key != NULL)
        free(key->proof);
    free(key);
}

void compact_free(struct compact_keys *keys)
{
    for (size_t i = 0; i < keys->group_count; i++) {
        struct key_group *group = &keys->groups[i];
        for (size_t j = 0; j < group->count; j++)
            free_key(keys, group->keys[j]);
        allow_free(&group->allow);
        free(group->keys);
        free(group->holes);
    }
    free(keys->groups);
    free(keys->table);
    packed_free(keys->packed);
    *keys = (struct compact_keys){.groups = NULL};
}
