/*
 * A damaged store of certificates: a good one with the changes that the input describes. Whatever
 * is accepted is walked, and nothing in it leads out of it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "proxy/store/builder.h"
#include "proxy/store/store.h"
#include "store_walk.h"
#include "target.h"

static uint8_t *good;
static size_t good_size;

static void add(struct store_builder *builder, uint32_t route, const char *name)
{
    const uint32_t chain = store_builder_chain_certificate(builder, "issuer", strlen("issuer"));
    struct store_certificate certificate = {.leaf =
                                                store_builder_bytes(builder, name, strlen(name)),
                                            .names = store_builder_text(builder, name),
                                            .name_count = 1,
                                            .route = route,
                                            .kind = CERTIFICATE_EC,
                                            .chain = store_builder_chain(builder, &chain, 1),
                                            .chain_count = 1};
    certificate.names.length++;
    store_builder_name(builder, route, name, store_builder_add(builder, &certificate));
}

static void make_good(void)
{
    struct conf_error error;
    struct store_builder *builder = store_builder_new();
    add(builder, 0, "a.example");
    add(builder, 0, "*.example");
    add(builder, 1, "a.example");
    store_builder_publish(builder, 0, 0);
    store_builder_publish(builder, 0, 1);
    int memory = store_builder_seal(builder, 2);
    struct store *store = store_open(memory, &error);
    const void *bytes = store_mapping(store, &good_size);
    good = malloc(good_size);
    memcpy(good, bytes, good_size);
    store_close(store);
    close(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (good == NULL)
        make_good();
    uint8_t *changed = malloc(good_size);
    memcpy(changed, good, good_size);
    struct reader changes = reader_of(data, size);
    while (changes.left > 0 && !changes.failed) {
        size_t place = read_u16(&changes) % good_size;
        changed[place] = read_u8(&changes);
    }
    store_walk(changed, good_size);
    free(changed);
    return 0;
}
