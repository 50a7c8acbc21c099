#include "proxy/master/keyd_keys.h"

#include <stdlib.h>
#include <string.h>

#include "conf/pass_on.h"
#include "proxy/store/slots.h"

#define SECTION_FORMAT "keys-%u" /* a name without spaces (daemon/hand_over.h) */

bool keyd_keys_wanted(const struct proxy_config *config)
{
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].route_count; j++)
            if (config->frontends[i].routes[j].directory != NULL ||
                config->frontends[i].routes[j].list != NULL)
                return true;
    return false;
}

/* A directive of these sections, and where a certificate has its value. */
static const struct setting {
    const char *directive;
    size_t offset;
} settings[] = {
    {"policy", offsetof(struct store_certificate, policy)},
    {"tls12-groups", offsetof(struct store_certificate, tls12_groups)},
    {"pass-phrase-file", offsetof(struct store_certificate, pass_phrase_path)},
};
#define SETTINGS (sizeof settings / sizeof settings[0])

static const char *value_of(const struct store *store, const struct store_certificate *certificate,
                            const struct setting *setting)
{
    const void *place = (const char *)certificate + setting->offset;
    return store_text(store, *(const struct store_span *)place);
}

/* The settings of a certificate as one text: the number of its section is that of the text. */
static bool find_section(struct keyd_keys *keys, const struct store_certificate *certificate,
                         uint32_t *section)
{
    char *text = NULL;
    size_t length = 0, index = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return false;
    for (size_t i = 0; i < SETTINGS; i++)
        fprintf(out, "%s\n", value_of(keys->store, certificate, &settings[i]));
    bool good = fclose(out) == 0 && name_table_add(&keys->settings, text, &index);
    free(text);
    *section = (uint32_t)index;
    return good;
}

static bool add(struct keyd_keys *keys, uint32_t number,
                const struct store_certificate *certificate)
{
    struct keyd_key *key = &keys->keys[keys->list.count];
    key->certificate = number;
    key->twin = KEYD_KEYS_NONE;
    if (!find_section(keys, certificate, &key->section))
        return false;
    keys->list.count++;
    return true;
}

static void get(const void *list, size_t index, struct hand_over_key *key)
{
    struct keyd_keys *keys = (struct keyd_keys *)list;
    const struct store_certificate *certificate =
        store_certificate(keys->store, keys->keys[index].certificate);
    snprintf(keys->section, sizeof keys->section, SECTION_FORMAT, keys->keys[index].section);
    key->section = keys->section;
    key->file = store_text(keys->store, certificate->key_path);
    memcpy(key->id, certificate->key_id, sizeof key->id);
}

static bool add_pass_phrase(const struct store *store, const struct store_certificate *certificate,
                            struct name_table *files)
{
    return certificate->pass_phrase_path.length == 0 ||
           name_table_add(files, store_text(store, certificate->pass_phrase_path), NULL);
}

static bool inherit_settings(struct keyd_keys *keys, const struct keyd_keys *before)
{
    for (size_t i = 0; before != NULL && i < before->settings.count; i++)
        if (!name_table_add(&keys->settings, before->settings.names[i], NULL))
            return false;
    return true;
}

static bool serves_without_tls13(const struct store *store,
                                 const struct store_certificate *certificate)
{
    return strcmp(store_text(store, certificate->policy), "tls12-server") == 0;
}

/* Adds the keys with that policy, or all others. */
static bool add_all(struct keyd_keys *keys, bool without_tls13, struct name_table *files)
{
    const struct store *store = keys->store;
    size_t count = store_certificate_count(store), index;
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        const struct store_certificate *certificate = store_certificate(store, (uint32_t)i);
        const char *file = store_text(store, certificate->key_path);
        if (file[0] != '\0' && serves_without_tls13(store, certificate) == without_tls13 &&
            !name_table_find(files, file, &index))
            good =
                add(keys, (uint32_t)i, certificate) && add_pass_phrase(store, certificate, files);
    }
    return good;
}

/* If two routes use a key, immured keeps what it is told first, and the one without TLS 1.3 needs
 * its policy. */
bool keyd_keys_find(struct keyd_keys *keys, const struct keyd_keys *before,
                    const struct store *store, struct name_table *files)
{
    *keys = (struct keyd_keys){.store = store, .list = {.get = get, .list = keys}};
    keys->keys = calloc(store_certificate_count(store) + 1, sizeof *keys->keys);
    return keys->keys != NULL && inherit_settings(keys, before) && add_all(keys, true, files) &&
           add_all(keys, false, files);
}

/* ---- what two stores differ in ---- */

static const uint8_t *id_of(const struct keyd_keys *keys, uint32_t index)
{
    return store_certificate(keys->store, keys->keys[index].certificate)->key_id;
}

static const char *file_of(const struct keyd_keys *keys, uint32_t index)
{
    return store_text(keys->store,
                      store_certificate(keys->store, keys->keys[index].certificate)->key_path);
}

struct search {
    const struct keyd_keys *keys;
    const uint8_t *id;
};

static bool has_id(const void *context, uint32_t index)
{
    const struct search *search = context;
    return memcmp(id_of(search->keys, index), search->id, STORE_HASH_SIZE) == 0;
}

/* An id is a hash. */
static uint64_t hash_of(const uint8_t *id)
{
    uint64_t hash;
    memcpy(&hash, id, sizeof hash);
    return hash;
}

static uint32_t find(const struct slots *slots, const struct keyd_keys *keys, const uint8_t *id)
{
    const struct search search = {keys, id};
    return slots_find(slots, hash_of(id), has_id, &search);
}

/* `last`: the last twin so far, by the index of the first of them. Twins have the same settings,
 * because immured gets those of the first. */
static void add_twin(const struct keyd_keys *keys, uint32_t first, uint32_t index, uint32_t *last)
{
    struct keyd_key *before = &keys->keys[last[first]];
    const struct keyd_key *key = &keys->keys[index];
    if (before->section != key->section ||
        strcmp(file_of(keys, last[first]), file_of(keys, index)) == 0)
        return;
    before->twin = index;
    last[first] = index;
}

/* Adds the key unless one with its id is there. False: out of memory. */
static bool index_key(struct slots *slots, const struct keyd_keys *keys, uint32_t index)
{
    const uint8_t *id = id_of(keys, index);
    return find(slots, keys, id) != UINT32_MAX || slots_add(slots, hash_of(id), index);
}

bool keyd_keys_lack(const struct keyless_keys *keyless, const uint8_t *id)
{
    for (uint32_t i = 0; keyless != NULL && i < keyless->count && i < KEYLESS_IDS_MAX; i++)
        if (memcmp(keyless->ids[i], id, CONTROL_KEY_ID_SIZE) == 0)
            return true;
    return false;
}

uint32_t *keyd_keys_missing(const struct keyd_keys *keys, const struct keyd_keys *others,
                            const struct keyless_keys *keyless, size_t *count, bool *moved)
{
    struct slots there = {0}, found = {0};
    uint32_t *missing = malloc((keys->list.count + 1) * sizeof *missing);
    uint32_t *last = malloc((keys->list.count + 1) * sizeof *last);
    bool good = missing != NULL && last != NULL;
    *count = 0;
    for (uint32_t i = 0; good && i < others->list.count; i++)
        good = index_key(&there, others, i);
    for (uint32_t i = 0; good && i < keys->list.count; i++) {
        uint32_t other = find(&there, others, id_of(keys, i));
        uint32_t first = find(&found, keys, id_of(keys, i));
        last[i] = i;
        if (first != UINT32_MAX)
            add_twin(keys, first, i, last);
        else
            good = slots_add(&found, hash_of(id_of(keys, i)), i);
        bool lacks = other == UINT32_MAX || keyd_keys_lack(keyless, id_of(keys, i));
        if (lacks && first == UINT32_MAX)
            missing[(*count)++] = i;
        *moved |= other != UINT32_MAX && others->keys[other].section != keys->keys[i].section;
    }
    slots_free(&there);
    slots_free(&found);
    free(last);
    if (good)
        return missing;
    free(missing);
    return NULL;
}

void keyd_keys_move(struct keyd_keys *to, const struct keyd_keys *from)
{
    *to = *from;
    to->list.list = to;
}

/* ---- the text ---- */

static void begin_section(const struct proxy_config *config, uint32_t number, FILE *out)
{
    char name[16];
    snprintf(name, sizeof name, SECTION_FORMAT, number);
    conf_write_section(out, "keys", name);
    conf_write_directive(out, "location", config->file);
}

/* There is a section even if there is no key: some may come at run time. */
void keyd_keys_write(const struct keyd_keys *keys, const struct proxy_config *config, FILE *out)
{
    uint32_t next = 0; /* sections are numbered as their first keys come */
    for (size_t i = 0; i < keys->list.count; i++) {
        if (keys->keys[i].section != next)
            continue;
        const struct store_certificate *certificate =
            store_certificate(keys->store, keys->keys[i].certificate);
        begin_section(config, next++, out);
        for (size_t j = 0; j < SETTINGS; j++) {
            const char *value = value_of(keys->store, certificate, &settings[j]);
            if (value[0] != '\0')
                conf_write_directive(out, settings[j].directive, value);
        }
        fprintf(out, "}\n");
    }
    if (next > 0)
        return;
    begin_section(config, next, out);
    fprintf(out, "}\n");
}

void keyd_keys_free(struct keyd_keys *keys)
{
    name_table_free(&keys->settings);
    free(keys->keys);
    *keys = (struct keyd_keys){.keys = NULL};
}
