/* All keys. Those of sections `key` are in a hash table by id, which is filled at the start;
 * compact ones come and go (keyd/keys/compact.h). */
#ifndef KEYD_KEYS_KEYRING_H
#define KEYD_KEYS_KEYRING_H

#include "keyd/keys/compact.h"

struct keyring {
    struct key **keys;
    size_t count;
    size_t room;
    struct key **table; /* open addressing; at most half full */
    size_t table_size;  /* a power of two */
    struct compact_keys compact;
    size_t bucket_count; /* of the rates that an account keeps: one for each key and each group */
};

#define KEYRING_INIT ((struct keyring){0})

enum keyring_added {
    KEYRING_ADDED,    /* the keyring owns the key now */
    KEYRING_KNOWN,    /* a key with this id is there already; the new one was freed */
    KEYRING_NO_MEMORY /* the key was freed */
};

enum keyring_added keyring_add(struct keyring *keyring, struct key *key);
/* All keys, compact ones too. */
static inline size_t keyring_count(const struct keyring *keyring)
{
    return keyring->count + keyring->compact.count;
}

/* Gives every key and group its bucket, when all are there. */
void keyring_number_buckets(struct keyring *keyring);
/* Finds the key for a request: *key stays valid until keyring_drop(); NULL: no such key. False: out
 * of memory. */
bool keyring_use(struct keyring *keyring, const uint8_t *id, const struct key **key);
/* For each job with the key. Both are harmless on NULL. */
void keyring_hold(const struct key *key);
void keyring_drop(struct keyring *keyring, const struct key *key);

/* NULL: no such key in a section `key`. */
const struct key *keyring_find(const struct keyring *keyring, const uint8_t *id);
void keyring_free(struct keyring *keyring);

#endif
