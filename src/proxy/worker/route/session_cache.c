#include "proxy/worker/route/session_cache.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 8
#define TRIES 64 /* to get a set while another thread copies a session from or to it */

struct entry {
    uint8_t id[SESSION_ID_SIZE];
    uint64_t age; /* the set's `puts` when the session was stored; 0: empty */
    size_t length;
    uint8_t bytes[SESSION_BYTES_MAX];
};

struct set {
    atomic_flag used;
    uint64_t puts;
    struct entry entries[WAYS];
};

struct session_cache {
    size_t sets; /* a power of two */
    struct set *set;
};

struct session_cache *session_cache_new(size_t sessions)
{
    struct session_cache *cache = malloc(sizeof *cache);
    size_t sets = 1;
    while (sets * WAYS < sessions)
        sets *= 2;
    /* With calloc() pages that hold no session yet take no memory. */
    struct set *set = calloc(sets, sizeof *set);
    if (cache == NULL || set == NULL) {
        free(cache);
        free(set);
        return NULL;
    }
    *cache = (struct session_cache){.sets = sets, .set = set};
    return cache;
}

void session_cache_free(struct session_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->sets; i++)
        if (cache->set[i].puts > 0)
            OPENSSL_cleanse(&cache->set[i], sizeof cache->set[i]);
    free(cache->set);
    free(cache);
}

/* NULL: another thread holds the set. */
static struct set *take(struct session_cache *cache, const uint8_t *id)
{
    uint64_t number;
    memcpy(&number, id, sizeof number);
    struct set *set = &cache->set[number & (cache->sets - 1)];
    for (int i = 0; i < TRIES; i++)
        if (!atomic_flag_test_and_set_explicit(&set->used, memory_order_acquire))
            return set;
    return NULL;
}

static void give_back(struct set *set)
{
    atomic_flag_clear_explicit(&set->used, memory_order_release);
}

static struct entry *find(struct set *set, const uint8_t *id)
{
    for (size_t i = 0; i < WAYS; i++)
        if (set->entries[i].age > 0 && memcmp(set->entries[i].id, id, SESSION_ID_SIZE) == 0)
            return &set->entries[i];
    return NULL;
}

/* Returns an empty entry, whose age is 0, or else the oldest. */
static struct entry *find_place(struct set *set)
{
    struct entry *oldest = &set->entries[0];
    for (size_t i = 1; i < WAYS; i++)
        if (set->entries[i].age < oldest->age)
            oldest = &set->entries[i];
    return oldest;
}

void session_cache_put(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE],
                       const uint8_t *bytes, size_t length)
{
    struct set *set = length > 0 && length <= SESSION_BYTES_MAX ? take(cache, id) : NULL;
    if (set == NULL)
        return;
    struct entry *entry = find_place(set);
    entry->age = ++set->puts;
    entry->length = length;
    memcpy(entry->id, id, SESSION_ID_SIZE);
    memcpy(entry->bytes, bytes, length);
    give_back(set);
}

size_t session_cache_get(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE],
                         uint8_t bytes[static SESSION_BYTES_MAX])
{
    struct set *set = take(cache, id);
    size_t length = 0;
    if (set == NULL)
        return 0;
    const struct entry *entry = find(set, id);
    if (entry != NULL) {
        length = entry->length;
        memcpy(bytes, entry->bytes, length);
    }
    give_back(set);
    return length;
}

void session_cache_remove(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE])
{
    struct set *set = take(cache, id);
    if (set == NULL)
        return;
    struct entry *entry = find(set, id);
    if (entry != NULL)
        OPENSSL_cleanse(entry, sizeof *entry);
    give_back(set);
}
