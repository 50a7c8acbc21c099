/*
 * Compact keys while they are used: who has jobs, who is ready, who leaves the cache.
 *
 * The cache holds `ready_max` keys that no thread signs with, and besides these the ones that are
 * lent, which the threads and the size of a batch bound.
 */
#include <stdlib.h>
#include <string.h>

#include "keyd/keys/compact.h"

static struct key *ready_of(const struct key_use *use)
{
    return atomic_load(&((struct key_use *)use)->ready);
}

struct key *compact_use(struct compact_keys *keys, struct compact_key *compact)
{
    const struct key_group *group = &keys->groups[compact->group];
    const struct key_group_config *config = group->config;
    if (compact->use != NULL) {
        compact->use->jobs++;
        return &compact->use->key;
    }
    struct key_use *use = calloc(1, sizeof *use);
    if (use == NULL)
        return NULL;
    use->key = (struct key){.name = compact->name,
                            .location = config->location,
                            .policy = config->policy,
                            .every_group = config->every_group,
                            .allow = group->allow,
                            .rate = config->rate,
                            .unverified = keys->ecdsa_unverified && compact->type == WIRE_KEY_EC,
                            .index = compact->place,
                            .bucket = group->bucket,
                            .kind = compact->kind,
                            .on_demand = true};
    memcpy(use->key.id, compact->id, sizeof use->key.id);
    key_describe(&use->key, (enum wire_key_type)compact->type, compact->bits);
    use->compact = compact;
    use->jobs = 1;
    atomic_init(&use->damaged, compact->damaged);
    atomic_init(&use->proof, compact->proof);
    list_init(&use->node);
    compact->use = use;
    return &use->key;
}

static void make_unready(struct compact_keys *keys, struct key_use *use)
{
    key_free(ready_of(use));
    atomic_store(&use->ready, NULL);
    if (list_linked(&use->node))
        keys->ready_count--;
    list_remove(&use->node);
}

void compact_forget(struct compact_keys *keys, struct compact_key *compact)
{
    struct key_use *use = compact->use;
    make_unready(keys, use);
    compact->proof = atomic_load(&use->proof);
    free(use);
    compact->use = NULL;
}

static void settle(struct compact_keys *keys, struct key_use *use)
{
    struct compact_key *compact = use->compact;
    compact->damaged = atomic_load(&use->damaged);
    if (use->jobs == 0 && (compact->removed || ready_of(use) == NULL))
        compact_forget(keys, compact);
    compact_discard_removed(keys, compact);
}

/* The keys that were used least recently leave, unless they are lent. */
static void make_room(struct compact_keys *keys)
{
    list_for_each(node, &keys->ready)
    {
        struct key_use *use = list_entry(node, struct key_use, node);
        if (keys->ready_count <= keys->ready_max)
            return;
        if (use->lent > 0)
            continue;
        make_unready(keys, use);
        settle(keys, use);
    }
}

/* It becomes the one that was used last. */
static void note_ready(struct compact_keys *keys, struct key_use *use)
{
    if (ready_of(use) == NULL)
        return;
    if (!list_linked(&use->node)) {
        keys->ready_count++;
        keys->decoded++;
    }
    list_remove(&use->node);
    list_append(&keys->ready, &use->node);
    make_room(keys);
}

void compact_hold(const struct key *key)
{
    compact_use_of(key)->jobs++;
}

void compact_drop(struct compact_keys *keys, const struct key *key)
{
    struct key_use *use = compact_use_of(key);
    use->jobs--;
    settle(keys, use);
}

bool compact_is_ready(const struct key *key)
{
    return ready_of(compact_use_of(key)) != NULL;
}

bool compact_is_damaged(const struct key *key)
{
    return atomic_load(&compact_use_of(key)->damaged);
}

void compact_lend(const struct key *key)
{
    compact_use_of(key)->lent++;
}

void compact_take_back(struct compact_keys *keys, const struct key *key)
{
    struct key_use *use = compact_use_of(key);
    use->lent--;
    note_ready(keys, use);
}

void compact_keep(struct compact_keys *keys, const struct key *key, struct key *ready)
{
    struct key_use *use = compact_use_of(key);
    atomic_store(&use->ready, ready);
    note_ready(keys, use);
}
