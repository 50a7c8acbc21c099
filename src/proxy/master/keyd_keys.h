/*
 * The keys of certificates from directories and lists, which immured holds in compact form. Those
 * of equal settings are in one section `keys` of its configuration, however many they are. What a
 * `certificate` section names has a section of its own there (keyd_text.h).
 */
#ifndef PROXY_MASTER_KEYD_KEYS_H
#define PROXY_MASTER_KEYD_KEYS_H

#include <stdio.h>

#include "base/name_table.h"
#include "daemon/hand_over.h"
#include "proxy/config/config.h"
#include "proxy/shared/control.h"
#include "proxy/store/store.h"

#define KEYD_KEYS_NONE UINT32_MAX

struct keyd_keys {
    const struct store *store;
    struct name_table settings; /* a text for each section */
    struct keyd_key {
        uint32_t certificate, section; /* their numbers */
        uint32_t twin; /* index of one with the same id in another file; KEYD_KEYS_NONE: none */
    } * keys;
    char section[16];           /* the name that was given last */
    struct hand_over_keys list; /* of all keys */
};

/* Whether there may be such keys. */
bool keyd_keys_wanted(const struct proxy_config *config);
/* Finds the keys of a store, which must stay, unless they are in one of `files`; adds the files
 * with pass phrases to `files`. Settings that are in `before` (NULL: none) too have the sections
 * that they have there. False: out of memory. */
bool keyd_keys_find(struct keyd_keys *keys, const struct keyd_keys *before,
                    const struct store *store, struct name_table *files);
/* Whether the key is one of those that immured lacks (NULL: it lacks none). */
bool keyd_keys_lack(const struct keyless_keys *keyless, const uint8_t *id);
/* Returns the indexes of the keys that are not in `others`, or that immured lacks all the same,
 * *count of them; the caller frees them.
 * Each key is there once; its twins, in the order of the store, are the files to try after a file
 * that cannot be used. *moved: one that is in both has other settings there. NULL: out of
 * memory.
 */
uint32_t *keyd_keys_missing(const struct keyd_keys *keys, const struct keyd_keys *others,
                            const struct keyless_keys *keyless, size_t *count, bool *moved);
void keyd_keys_move(struct keyd_keys *to, const struct keyd_keys *from);
/* Writes the sections. */
void keyd_keys_write(const struct keyd_keys *keys, const struct proxy_config *config, FILE *out);
/* Harmless on an all-zero struct. */
void keyd_keys_free(struct keyd_keys *keys);

#endif
