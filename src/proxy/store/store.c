#include "proxy/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "proxy/store/layout.h"

struct store {
    const struct store_header *header;
    size_t size;
    const void *tables[TABLE_COUNT];
    size_t counts[TABLE_COUNT];
    unsigned others; /* users besides the first */
};

static const void *element(const struct store *store, enum store_table_name table, size_t number)
{
    return (const char *)store->tables[table] + number * store_element_sizes[table];
}

/* ---- checks of a store that is being opened ---- */

static bool set_table(struct store *store, enum store_table_name table)
{
    struct store_table place = store->header->tables[table];
    if (place.offset % STORE_ALIGNMENT != 0 || place.offset < sizeof *store->header ||
        place.offset > store->size ||
        place.count > (store->size - place.offset) / store_element_sizes[table] ||
        place.count >= STORE_NONE)
        return false;
    store->tables[table] = (const char *)store->header + place.offset;
    store->counts[table] = place.count;
    return true;
}

static bool is_within(const struct store *store, struct store_span span)
{
    size_t size = store->counts[TABLE_BYTES];
    return span.offset <= size && span.length <= size - span.offset;
}

static bool is_text(const struct store *store, struct store_span text)
{
    const struct store_span with_end = {text.offset, text.length + 1};
    if (text.length == UINT32_MAX || !is_within(store, with_end))
        return false;
    return strnlen(store_text(store, text), with_end.length) == text.length;
}

static bool are_names(const struct store *store, const struct store_certificate *certificate)
{
    uint32_t count = 0;
    if (!is_within(store, certificate->names))
        return false;
    const char *next = store_text(store, certificate->names);
    size_t left = certificate->names.length;
    while (left > 0) {
        const char *end = memchr(next, '\0', left);
        if (end == NULL)
            return false;
        left -= (size_t)(end + 1 - next);
        next = end + 1;
        count++;
    }
    return count == certificate->name_count;
}

static bool is_range(size_t first, size_t count, size_t most)
{
    return first <= most && count <= most - first;
}

static bool is_certificate(const struct store *store, const struct store_certificate *certificate)
{
    const struct store_span spans[] = {certificate->leaf, certificate->staple};
    const struct store_span texts[] = {certificate->key_type,
                                       certificate->key_path,
                                       certificate->policy,
                                       certificate->pass_phrase_path,
                                       certificate->tls12_groups,
                                       certificate->where,
                                       certificate->files[STORE_CHAIN_FILE].path,
                                       certificate->files[STORE_STAPLE_FILE].path};
    bool good = certificate->kind < CERTIFICATE_KIND_COUNT && are_names(store, certificate) &&
                is_range(certificate->chain, certificate->chain_count, store->counts[TABLE_CHAINS]);
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        good = good && is_within(store, spans[i]);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        good = good && is_text(store, texts[i]);
    return good;
}

static bool is_entry(const struct store *store, const struct store_entry *entry)
{
    return is_text(store, entry->name) &&
           is_range(entry->choice, entry->choice_count, store->counts[TABLE_CHOICES]);
}

static bool is_failure(const struct store *store, const struct store_failure *failure)
{
    return is_text(store, failure->file) && is_text(store, failure->reason);
}

static bool is_choice(const struct store *store, const struct store_choice *choice)
{
    bool good = choice->route < store->counts[TABLE_DEFAULTS];
    for (size_t i = 0; i < CERTIFICATE_KIND_COUNT; i++)
        good = good && (choice->certificates[i] == STORE_NONE ||
                        choice->certificates[i] < store->counts[TABLE_CERTIFICATES]);
    return good;
}

static bool check_all(const struct store *store)
{
    const size_t *counts = store->counts;
    size_t slots = counts[TABLE_SLOTS];
    bool good = (slots & (slots - 1)) == 0 && (slots > 0 || counts[TABLE_ENTRIES] == 0);
    for (size_t i = 0; good && i < counts[TABLE_CERTIFICATES]; i++)
        good = is_certificate(store, element(store, TABLE_CERTIFICATES, i));
    for (size_t i = 0; good && i < counts[TABLE_CHAIN_CERTIFICATES]; i++)
        good = is_within(store,
                         *(const struct store_span *)element(store, TABLE_CHAIN_CERTIFICATES, i));
    for (size_t i = 0; good && i < counts[TABLE_CHAINS]; i++)
        good =
            *(const uint32_t *)element(store, TABLE_CHAINS, i) < counts[TABLE_CHAIN_CERTIFICATES];
    for (size_t i = 0; good && i < counts[TABLE_ENTRIES]; i++)
        good = is_entry(store, element(store, TABLE_ENTRIES, i));
    for (size_t i = 0; good && i < counts[TABLE_CHOICES]; i++)
        good = is_choice(store, element(store, TABLE_CHOICES, i));
    for (size_t i = 0; good && i < counts[TABLE_DEFAULTS]; i++)
        good = is_choice(store, element(store, TABLE_DEFAULTS, i));
    for (size_t i = 0; good && i < counts[TABLE_FAILURES]; i++)
        good = is_failure(store, element(store, TABLE_FAILURES, i));
    for (size_t i = 0; good && i < slots; i++)
        good = *(const uint32_t *)element(store, TABLE_SLOTS, i) <= counts[TABLE_ENTRIES];
    return good;
}

static bool check(struct store *store)
{
    const struct store_header *header = store->header;
    if (header->magic != STORE_MAGIC || header->version != STORE_VERSION ||
        header->size != store->size)
        return false;
    for (int i = 0; i < TABLE_COUNT; i++)
        if (!set_table(store, (enum store_table_name)i))
            return false;
    return check_all(store);
}

/* ---- life ---- */

static struct store *fail(struct store *store, const char *reason, struct conf_error *error)
{
    snprintf(error->text, sizeof error->text, "the store of certificates: %s", reason);
    store_close(store);
    return NULL;
}

struct store *store_open(int memory, struct conf_error *error)
{
    struct stat status;
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return fail(store, "out of memory", error);
    if (fcntl(memory, F_GET_SEALS) != STORE_SEALS)
        return fail(store, "it is not sealed", error);
    if (fstat(memory, &status) != 0 || (size_t)status.st_size < sizeof *store->header)
        return fail(store, "it is too short", error);
    void *mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, memory, 0);
    if (mapped == MAP_FAILED)
        return fail(store, strerror(errno), error);
    store->header = mapped;
    store->size = (size_t)status.st_size;
    if (!check(store))
        return fail(store, "it is damaged, or another version made it", error);
    return store;
}

struct store *store_share(struct store *store)
{
    store->others++;
    return store;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->others > 0) {
        store->others--;
        return;
    }
    if (store->header != NULL)
        munmap((void *)store->header, store->size);
    free(store);
}

/* ---- what is in it ---- */

size_t store_find(const struct store *store, uint32_t frontend, const char *name,
                  const struct store_choice **choices)
{
    size_t count = store->counts[TABLE_SLOTS];
    uint64_t hash = store_name_hash(store->header->seed, frontend, name);
    for (size_t i = 0; i < count; i++) {
        const uint32_t *slot = element(store, TABLE_SLOTS, (hash + i) & (count - 1));
        if (*slot == 0)
            break;
        const struct store_entry *entry = element(store, TABLE_ENTRIES, *slot - 1);
        if (entry->frontend == frontend && strcmp(store_text(store, entry->name), name) == 0) {
            *choices = element(store, TABLE_CHOICES, entry->choice);
            return entry->choice_count;
        }
    }
    *choices = NULL;
    return 0;
}

const struct store_choice *store_route_default(const struct store *store, uint32_t route)
{
    if (route >= store->counts[TABLE_DEFAULTS])
        return NULL;
    const struct store_choice *choice = element(store, TABLE_DEFAULTS, route);
    for (size_t i = 0; i < CERTIFICATE_KIND_COUNT; i++)
        if (choice->certificates[i] != STORE_NONE)
            return choice;
    return NULL;
}

size_t store_certificate_count(const struct store *store)
{
    return store->counts[TABLE_CERTIFICATES];
}

const struct store_certificate *store_certificate(const struct store *store, uint32_t number)
{
    return element(store, TABLE_CERTIFICATES, number);
}

const uint32_t *store_chain(const struct store *store, const struct store_certificate *certificate)
{
    return element(store, TABLE_CHAINS, certificate->chain);
}

size_t store_chain_certificate_count(const struct store *store)
{
    return store->counts[TABLE_CHAIN_CERTIFICATES];
}

const uint8_t *store_chain_certificate(const struct store *store, uint32_t number, size_t *length)
{
    const struct store_span *span = element(store, TABLE_CHAIN_CERTIFICATES, number);
    *length = span->length;
    return store_bytes(store, *span);
}

const uint8_t *store_bytes(const struct store *store, struct store_span span)
{
    return element(store, TABLE_BYTES, span.offset);
}

const char *store_text(const struct store *store, struct store_span text)
{
    return element(store, TABLE_BYTES, text.offset);
}

void store_inherit(const struct store *store, bool inherited)
{
    madvise((void *)store->header, store->size, inherited ? MADV_DOFORK : MADV_DONTFORK);
}

uint32_t store_failed(const struct store *store)
{
    return store->header->failed;
}

size_t store_failure_count(const struct store *store)
{
    return store->counts[TABLE_FAILURES];
}

const struct store_failure *store_failure(const struct store *store, uint32_t number)
{
    return element(store, TABLE_FAILURES, number);
}

const void *store_mapping(const struct store *store, size_t *size)
{
    *size = store->size;
    return store->header;
}
