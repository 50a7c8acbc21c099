/*
 * Keys in compact form: thousands that belong to a few groups, and of which only some are used at a
 * time. Each is its DER in packed secret memory, and a small struct. A key is decoded when it is
 * used, by the thread that signs with it (keyd/sign/opener.h), and stays ready in a cache of
 * bounded size.
 *
 * Only the event loop changes anything here. A signer thread sees a key that is lent to it: it may
 * read `compact` and set `ready` and `proof`. It never waits: of two threads that decode the same
 * key, the second drops its copy.
 */
#ifndef KEYD_KEYS_COMPACT_H
#define KEYD_KEYS_COMPACT_H

#include <stdatomic.h>

#include "base/list.h"
#include "keyd/keys/envelope.h"
#include "keyd/keys/key.h"

#define KEY_GROUPS_MAX 255
#define KEY_NAME_MAX 4095 /* the path of its file */
#define KEY_GROUP_KEYS_BITS 24
#define KEY_GROUP_KEYS_MAX (1u << KEY_GROUP_KEYS_BITS)

/* A section `keys`, as the operator or a supervisor configures it. */
struct key_group_config {
    char *name;
    char *location;         /* "immured.conf:7" */
    char *pass_phrase_file; /* its first line is the pass phrase of all its encrypted keys */
    enum policy policy;
    bool every_group;
    struct access_config allow;
    struct rate rate; /* of each client, for all its keys together */
};

struct packed;

struct compact_config {
    struct key_group_config *groups;
    size_t group_count;
    uint64_t ready_max;    /* keys that are kept ready (`key-cache`) */
    bool ecdsa_unverified; /* the directive `verify` */
};

struct compact_key {
    uint8_t id[WIRE_KEY_ID_SIZE]; /* as its supervisor says; compared when it is first decoded */
    const uint8_t *der;           /* packed */
    const struct kind *kind;
    struct key_use *use;     /* NULL: nobody uses it, and it is not ready */
    struct key_proof *proof; /* from the first time that it was decoded; NULL: it was not yet */
    uint32_t place;          /* in its group */
    uint16_t length;         /* of the DER */
    uint16_t bits;           /* of RSA and EC; else 0 */
    uint8_t group, type;     /* index of its group; enum wire_key_type */
    bool damaged;            /* it could not be decoded, or is another key: it is not tried again */
    bool removed;            /* it is freed when its last job is done */
    char name[];
};

struct key_group {
    const struct key_group_config *config;
    struct allow allow;
    size_t bucket;             /* of its rate, among those of an account */
    struct compact_key **keys; /* NULL where one was removed */
    size_t count, room;
    uint32_t *holes; /* places of removed keys */
    size_t hole_count, hole_room;
};

/* A key that has jobs, or is ready, or both. */
struct key_use {
    struct key key; /* all but the halves: what the rules, the queue and the audit need */
    struct compact_key *compact;
    _Atomic(struct key *) ready;       /* complete; NULL: nobody has decoded it yet */
    _Atomic(struct key_proof *) proof; /* set by the first thread that has decoded it */
    atomic_bool damaged;               /* set, and logged, by the thread that could not decode it */
    size_t jobs;                       /* that have not been freed */
    size_t lent;                       /* jobs that are being signed */
    struct list node; /* in compact_keys.ready, unless `ready` is not known there yet */
};

struct compact_keys {
    struct key_group *groups;
    size_t group_count;
    size_t count;               /* of keys in all groups */
    struct compact_key **table; /* by id; open addressing, at most half full */
    size_t table_size;          /* a power of two; 0: there is none */
    struct packed *packed;      /* their DER */
    struct list ready;          /* the key that was used least recently is first */
    size_t ready_count, ready_max;
    uint64_t decoded; /* how often a key had to be decoded */
    bool ecdsa_unverified;
    bool left; /* a key was removed, and signers may still refer to it: scheduler_clear() */
};

/* Makes empty groups; the configuration stays the caller's. False: out of memory, or allow lists
 * that cannot be resolved; reason logged. */
bool compact_init(struct compact_keys *keys, const struct compact_config *config);
void compact_free(struct compact_keys *keys);

/* NULL: there is no such group. */
struct key_group *compact_find_group(const struct compact_keys *keys, const char *name);

enum compact_added { COMPACT_ADDED, COMPACT_KNOWN, COMPACT_NO_ROOM };

/* Copies the DER. *key is the new key, or the one that has this id already. */
enum compact_added compact_add(struct compact_keys *keys, struct key_group *group,
                               const uint8_t id[static WIRE_KEY_ID_SIZE], const char *name,
                               const struct envelope *envelope, struct compact_key **key);
/* NULL: there is none. */
struct compact_key *compact_find(const struct compact_keys *keys, const uint8_t *id);
/* Frees what a removed key had, once nobody uses it. */
void compact_discard_removed(struct compact_keys *keys, struct compact_key *key);
/* Frees its use, whatever that has. */
void compact_forget(struct compact_keys *keys, struct compact_key *key);
/* Nobody finds the key any more. It is wiped when its last job is done, if it has any. */
void compact_remove(struct compact_keys *keys, struct compact_key *key);

/* ---- use ---- */

/* All but the halves of a key, with one job; NULL: out of memory. */
struct key *compact_use(struct compact_keys *keys, struct compact_key *key);
/* One job more or less. A key that is neither ready nor has jobs is forgotten. */
void compact_hold(const struct key *key);
void compact_drop(struct compact_keys *keys, const struct key *key);
/* Whether the event loop may sign with it, because it is decoded. */
bool compact_is_ready(const struct key *key);
bool compact_is_damaged(const struct key *key);
/* A job goes to a signer thread, and comes back. Then the key counts as used, and others that were
 * not used for long leave the cache. */
void compact_lend(const struct key *key);
void compact_take_back(struct compact_keys *keys, const struct key *key);
/* Takes over the complete form of a key that has a job. */
void compact_keep(struct compact_keys *keys, const struct key *key, struct key *ready);

static inline struct key_use *compact_use_of(const struct key *key)
{
    return (struct key_use *)((char *)key - offsetof(struct key_use, key));
}

#endif
