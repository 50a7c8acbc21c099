/* All keys, in a hash table by id. It is filled at the start; then any thread may read it. */
#ifndef KEYD_KEYS_KEYRING_H
#define KEYD_KEYS_KEYRING_H

#include "keyd/keys/key.h"

struct keyring {
    struct key **keys;
    size_t count;
    size_t room;
    struct key **table; /* open addressing; at most half full */
    size_t table_size;  /* a power of two */
};

#define KEYRING_INIT ((struct keyring){0})

enum keyring_added {
    KEYRING_ADDED,    /* the keyring owns the key now */
    KEYRING_KNOWN,    /* a key with this id is there already; the new one was freed */
    KEYRING_NO_MEMORY /* the key was freed */
};

enum keyring_added keyring_add(struct keyring *keyring, struct key *key);
/* NULL: no such key. */
const struct key *keyring_find(const struct keyring *keyring, const uint8_t *id);
void keyring_free(struct keyring *keyring);

#endif
