/*
 * Compact keys on their way to the next key process: in the vault those that the supervisor has
 * handed over at the start, many in one of its records, and after it what has changed since, each
 * change encrypted by itself under the vault's key. The nonces of changes are random and never
 * those of records, which are small numbers.
 */
#ifndef KEYD_KEYS_KEY_RECORDS_H
#define KEYD_KEYS_KEY_RECORDS_H

#include "keyd/keys/compact.h"
#include "keyd/keys/files.h"

/* Records that are gathered for the vault. */
struct key_records {
    struct secret bytes; /* of the next record of the vault */
    size_t count;        /* of records that the vault has */
};

#define KEY_RECORDS_INIT ((struct key_records){.count = 0})

/* Adds a key. False with errno: the vault cannot take it. */
bool key_records_add(struct key_records *records, struct files *files,
                     const struct compact_keys *keys, const struct compact_key *key);
/* Gives the vault what is left, and frees it; to be called in any case. False with errno. */
bool key_records_end(struct key_records *records, struct files *files);
/* Adds all keys of a vault to `keys`. False with errno (EPROTO: it is damaged; ENOMEM). */
bool key_records_load(const struct files *files, struct compact_keys *keys);

/* What encrypts changes, and how long they are at most. */
struct change_key {
    EVP_CIPHER *cipher;
    struct secret key;
};

#define CHANGE_KEY_INIT ((struct change_key){.cipher = NULL})
#define KEY_CHANGE_MAX 16000

/* Takes the key of the vault over from the files. */
void change_key_take(struct change_key *change_key, struct files *files);
void change_key_free(struct change_key *change_key);
/* Writes the encrypted change to `change`, KEY_CHANGE_MAX bytes: this key is there now, or the key
 * with this id is not there any more. Returns its length; 0: libcrypto failed. */
size_t key_change_added(const struct change_key *change_key, const struct compact_keys *keys,
                        const struct compact_key *key, uint8_t *change);
size_t key_change_removed(const struct change_key *change_key,
                          const uint8_t id[static WIRE_KEY_ID_SIZE], uint8_t *change);
/* Makes all changes in a file of the supervisor. False with errno. */
bool key_changes_load(const struct files *files, int descriptor, struct compact_keys *keys);

#endif
