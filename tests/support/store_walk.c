#include "store_walk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "proxy/store/store.h"

static void must_be_within(const struct store *store, const void *place, size_t length)
{
    size_t size;
    const char *base = store_mapping(store, &size);
    const char *first = place;
    if (first < base || first > base + size || length > (size_t)(base + size - first))
        abort();
}

static void must_be_text(const struct store *store, struct store_span text)
{
    must_be_within(store, store_text(store, text), (size_t)text.length + 1);
    if (strlen(store_text(store, text)) != text.length)
        abort();
}

static void look_up(const struct store *store, const char *name)
{
    const struct store_choice *choices;
    size_t count = store_find(store, 0, name, &choices);
    for (size_t i = 0; i < count; i++) {
        must_be_within(store, &choices[i], sizeof choices[i]);
        store_route_default(store, choices[i].route);
        for (int kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++)
            if (choices[i].certificates[kind] != STORE_NONE)
                must_be_within(store, store_certificate(store, choices[i].certificates[kind]),
                               sizeof(struct store_certificate));
    }
}

static void walk_certificate(const struct store *store, const struct store_certificate *certificate)
{
    size_t length;
    const uint32_t *chain = store_chain(store, certificate);
    const char *name = store_text(store, certificate->names);
    must_be_within(store, store_bytes(store, certificate->leaf), certificate->leaf.length);
    must_be_within(store, store_bytes(store, certificate->staple), certificate->staple.length);
    must_be_text(store, certificate->key_type);
    must_be_text(store, certificate->key_path);
    must_be_text(store, certificate->pass_phrase_path);
    must_be_text(store, certificate->policy);
    must_be_text(store, certificate->tls12_groups);
    must_be_text(store, certificate->where);
    for (int i = 0; i < STORE_FILE_COUNT; i++)
        must_be_text(store, certificate->files[i].path);
    for (uint32_t i = 0; i < certificate->name_count; i++) {
        must_be_within(store, name, strlen(name) + 1);
        look_up(store, name);
        name += strlen(name) + 1;
    }
    for (uint32_t i = 0; i < certificate->chain_count; i++) {
        const uint8_t *der = store_chain_certificate(store, chain[i], &length);
        must_be_within(store, der, length);
    }
}

bool store_walk(const void *bytes, size_t size)
{
    struct conf_error error;
    int memory = descriptor_of_bytes("store", bytes, size);
    struct store *store = store_open(memory, &error);
    close(memory);
    if (store == NULL)
        return false;
    for (size_t i = 0; i < store_certificate_count(store); i++)
        walk_certificate(store, store_certificate(store, (uint32_t)i));
    for (size_t i = 0; i < store_failure_count(store); i++) {
        must_be_text(store, store_failure(store, (uint32_t)i)->file);
        must_be_text(store, store_failure(store, (uint32_t)i)->reason);
    }
    look_up(store, "absent.example");
    store_close(store);
    return true;
}
