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
#include "proxy/store/store.h"

struct keyd_keys {
    const struct store *store;
    struct name_table settings; /* a text for each section */
    struct keyd_key {
        uint32_t certificate, section; /* their numbers */
    } * keys;
    char section[16];           /* the name that was given last */
    struct hand_over_keys list; /* of all keys */
};

/* Whether there may be such keys. */
bool keyd_keys_wanted(const struct proxy_config *config);
/* Finds the keys of a store, which must stay, unless they are in one of `files`; adds the files
 * with pass phrases to `files`. False: out of memory. */
bool keyd_keys_find(struct keyd_keys *keys, const struct store *store, struct name_table *files);
/* Writes the sections. */
void keyd_keys_write(const struct keyd_keys *keys, const struct proxy_config *config, FILE *out);
/* Harmless on an all-zero struct. */
void keyd_keys_free(struct keyd_keys *keys);

#endif
