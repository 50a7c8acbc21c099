#include "proxy/store/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "proxy/store/array.h"
#include "proxy/store/layout.h"
#include "proxy/store/slots.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
#define ROOM_FIRST ((size_t)1 << 20)
/* Offsets are uint32_t. */
#define BYTES_MAX ((size_t)UINT32_MAX)

/* Names are looked up within a scope. That of a frontend is its number, and those of the routes
 * follow; they are for building only. */
#define FRONTENDS_MAX (UINT32_C(1) << 31)
#define SCOPE_OF_ROUTE(route) (FRONTENDS_MAX + (route))

struct built_entry {
    uint32_t scope;
    struct store_span name;
    uint32_t first, last; /* of its choices */
    uint32_t next;        /* of the same route; STORE_NONE: none */
    uint64_t hash;
};

struct built_choice {
    struct store_choice choice;
    uint32_t next; /* of the same entry; STORE_NONE: none */
};

struct built_route {
    uint32_t first_certificate;       /* STORE_NONE: it has none */
    uint32_t first_entry, last_entry; /* of its names; STORE_NONE: it has none */
};

/* Spans that are in the store once. */
struct shared_spans {
    struct array spans;
    struct slots slots;
};

struct store_builder {
    int memory;
    char *base; /* the mapping of `memory`; it begins with the header */
    size_t used, room;
    int reason; /* errno of what has failed; 0: nothing */
    uint64_t seed;
    uint32_t failed;
    struct array certificates, chains, entries, choices;
    struct array routes; /* struct built_route */
    struct slots names;
    struct shared_spans chain_certificates, texts;
};

struct store_builder *store_builder_new(void)
{
    struct store_builder *builder = calloc(1, sizeof *builder);
    if (builder == NULL)
        return NULL;
    *builder = (struct store_builder){
        .memory = memfd_create("certificates", MFD_CLOEXEC | MFD_ALLOW_SEALING),
        .certificates = ARRAY_INIT(struct store_certificate),
        .chains = ARRAY_INIT(uint32_t),
        .entries = ARRAY_INIT(struct built_entry),
        .choices = ARRAY_INIT(struct built_choice),
        .routes = ARRAY_INIT(struct built_route),
        .chain_certificates.spans = ARRAY_INIT(struct store_span),
        .texts.spans = ARRAY_INIT(struct store_span),
        .used = sizeof(struct store_header) + 1, /* the empty text */
        .room = ROOM_FIRST};
    bool good = builder->memory >= 0 && ftruncate(builder->memory, (off_t)builder->room) == 0 &&
                getrandom(&builder->seed, sizeof builder->seed, 0) == sizeof builder->seed;
    void *mapped =
        good ? mmap(NULL, builder->room, PROT_READ | PROT_WRITE, MAP_SHARED, builder->memory, 0)
             : MAP_FAILED;
    if (mapped != MAP_FAILED) {
        builder->base = mapped;
        return builder;
    }
    store_builder_free(builder);
    return NULL;
}

void store_builder_free(struct store_builder *builder)
{
    if (builder == NULL)
        return;
    if (builder->base != NULL)
        munmap(builder->base, builder->room);
    descriptor_close(&builder->memory);
    struct array *const arrays[] = {&builder->certificates, &builder->chains,
                                    &builder->entries,      &builder->choices,
                                    &builder->routes,       &builder->chain_certificates.spans,
                                    &builder->texts.spans};
    struct slots *const slots[] = {&builder->names, &builder->chain_certificates.slots,
                                   &builder->texts.slots};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        array_free(arrays[i]);
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        slots_free(slots[i]);
    free(builder);
}

/* ---- bytes ---- */

static bool fail(struct store_builder *builder, int reason)
{
    if (builder->reason == 0)
        builder->reason = reason;
    return false;
}

static bool make_room(struct store_builder *builder, size_t length)
{
    size_t room = builder->room;
    while (room - builder->used < length)
        room *= 2;
    if (room == builder->room)
        return true;
    if (ftruncate(builder->memory, (off_t)room) != 0)
        return fail(builder, errno);
    void *moved = mremap(builder->base, builder->room, room, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED)
        return fail(builder, errno);
    builder->base = moved;
    builder->room = room;
    return true;
}

static char *bytes_at(const struct store_builder *builder, uint32_t offset)
{
    return builder->base + sizeof(struct store_header) + offset;
}

/* Bytes, and `zeros` zero bytes that the span does not include. */
static struct store_span put(struct store_builder *builder, const void *bytes, size_t length,
                             size_t zeros)
{
    size_t offset = builder->used - sizeof(struct store_header);
    if (length + zeros > BYTES_MAX - offset) {
        fail(builder, EFBIG);
        return (struct store_span){0};
    }
    if (length == 0 || !make_room(builder, length + zeros))
        return (struct store_span){0};
    struct store_span span = {(uint32_t)offset, (uint32_t)length};
    memcpy(bytes_at(builder, span.offset), bytes, length);
    builder->used += length + zeros;
    return span;
}

struct store_span store_builder_bytes(struct store_builder *builder, const void *bytes,
                                      size_t length)
{
    return put(builder, bytes, length, 0);
}

struct store_span store_builder_text(struct store_builder *builder, const char *text)
{
    return put(builder, text, strlen(text), 1);
}

const void *store_builder_peek(const struct store_builder *builder, struct store_span span)
{
    return bytes_at(builder, span.offset);
}

/* ---- bytes that are in the store once ---- */

struct shared_search {
    const struct store_builder *builder;
    const struct shared_spans *shared;
    const void *bytes;
    size_t length;
};

static bool is_span(const void *context, uint32_t number)
{
    const struct shared_search *search = context;
    const struct store_span *span = array_at(&search->shared->spans, number);
    return span->length == search->length &&
           memcmp(store_builder_peek(search->builder, *span), search->bytes, span->length) == 0;
}

/* Returns the number of the span among the shared ones. */
static uint32_t share(struct store_builder *builder, struct shared_spans *shared, const void *bytes,
                      size_t length, size_t zeros)
{
    const struct shared_search search = {builder, shared, bytes, length};
    uint64_t hash = store_hash(builder->seed, bytes, length);
    uint32_t number = slots_find(&shared->slots, hash, is_span, &search);
    if (number != STORE_NONE)
        return number;
    struct store_span span = put(builder, bytes, length, zeros);
    number = (uint32_t)shared->spans.count;
    if (array_add(&shared->spans, &span) == NULL || !slots_add(&shared->slots, hash, number)) {
        fail(builder, ENOMEM);
        return 0;
    }
    return number;
}

struct store_span store_builder_common_text(struct store_builder *builder, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return (struct store_span){0};
    uint32_t number = share(builder, &builder->texts, text, strlen(text), 1);
    return builder->reason == 0 ? *(struct store_span *)array_at(&builder->texts.spans, number)
                                : (struct store_span){0};
}

uint32_t store_builder_chain_certificate(struct store_builder *builder, const void *der,
                                         size_t length)
{
    return share(builder, &builder->chain_certificates, der, length, 0);
}

uint32_t store_builder_chain(struct store_builder *builder, const uint32_t *numbers, size_t count)
{
    size_t first = builder->chains.count;
    for (size_t i = 0; i < count; i++)
        if (array_add(&builder->chains, &numbers[i]) == NULL)
            fail(builder, ENOMEM);
    return (uint32_t)first;
}

/* ---- certificates and their names ---- */

const struct store_certificate *store_builder_certificate(const struct store_builder *builder,
                                                          uint32_t number)
{
    return array_at(&builder->certificates, number);
}

/* NULL: out of memory. */
static struct built_route *route_for(struct store_builder *builder, uint32_t route)
{
    while (builder->routes.count <= route) {
        const struct built_route none = {STORE_NONE, STORE_NONE, STORE_NONE};
        if (array_add(&builder->routes, &none) == NULL) {
            fail(builder, ENOMEM);
            return NULL;
        }
    }
    return array_at(&builder->routes, route);
}

uint32_t store_builder_add(struct store_builder *builder,
                           const struct store_certificate *certificate)
{
    uint32_t number = (uint32_t)builder->certificates.count;
    struct built_route *route = route_for(builder, certificate->route);
    if (route == NULL || array_add(&builder->certificates, certificate) == NULL) {
        fail(builder, ENOMEM);
        return STORE_NONE;
    }
    if (route->first_certificate == STORE_NONE)
        route->first_certificate = number;
    return number;
}

struct name_search {
    const struct store_builder *builder;
    uint32_t scope;
    const char *name;
    uint64_t hash;
};

static bool is_name(const void *context, uint32_t number)
{
    const struct name_search *search = context;
    const struct built_entry *entry = array_at(&search->builder->entries, number);
    return entry->hash == search->hash && entry->scope == search->scope &&
           strcmp(store_builder_peek(search->builder, entry->name), search->name) == 0;
}

static struct name_search search_for(const struct store_builder *builder, uint32_t scope,
                                     const char *name)
{
    return (struct name_search){builder, scope, name, store_name_hash(builder->seed, scope, name)};
}

static struct built_entry *find_entry(const struct name_search *search)
{
    const struct store_builder *builder = search->builder;
    uint32_t number = slots_find(&builder->names, search->hash, is_name, search);
    return number != STORE_NONE ? array_at(&builder->entries, number) : NULL;
}

/* NULL: out of memory. */
static struct built_entry *entry_for(struct store_builder *builder, uint32_t scope,
                                     const char *name)
{
    const struct name_search search = search_for(builder, scope, name);
    struct built_entry *entry = find_entry(&search);
    if (entry != NULL)
        return entry;
    uint32_t number = (uint32_t)builder->entries.count;
    struct built_entry made = {.scope = scope,
                               .name = store_builder_text(builder, name),
                               .first = STORE_NONE,
                               .last = STORE_NONE,
                               .next = STORE_NONE,
                               .hash = search.hash};
    entry = array_add(&builder->entries, &made);
    if (entry != NULL && slots_add(&builder->names, search.hash, number))
        return entry;
    fail(builder, ENOMEM);
    return NULL;
}

static struct built_choice *choice_at(const struct store_builder *builder, uint32_t number)
{
    return array_at(&builder->choices, number);
}

static struct store_choice no_choice(uint32_t route)
{
    struct store_choice none = {.route = route};
    for (int kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++)
        none.certificates[kind] = STORE_NONE;
    return none;
}

/* The choice of the route, which is the last one, or a new one. NULL: out of memory. */
static struct store_choice *choice_for(struct store_builder *builder, uint32_t scope,
                                       uint32_t route, const char *name)
{
    struct built_entry *entry = entry_for(builder, scope, name);
    if (entry == NULL)
        return NULL;
    if (entry->last != STORE_NONE && choice_at(builder, entry->last)->choice.route == route)
        return &choice_at(builder, entry->last)->choice;
    uint32_t number = (uint32_t)builder->choices.count;
    const struct built_choice made = {.choice = no_choice(route), .next = STORE_NONE};
    struct built_choice *added = array_add(&builder->choices, &made);
    if (added == NULL) {
        fail(builder, ENOMEM);
        return NULL;
    }
    if (entry->last != STORE_NONE)
        choice_at(builder, entry->last)->next = number;
    else
        entry->first = number;
    entry->last = number;
    return &added->choice;
}

/* Notes that the route has one more name, which is the last entry. */
static void link_entry(struct store_builder *builder, struct built_route *route)
{
    uint32_t number = (uint32_t)builder->entries.count - 1;
    if (route->last_entry != STORE_NONE)
        ((struct built_entry *)array_at(&builder->entries, route->last_entry))->next = number;
    else
        route->first_entry = number;
    route->last_entry = number;
}

void store_builder_name(struct store_builder *builder, uint32_t number, const char *name,
                        uint32_t certificate)
{
    struct built_route *route = certificate != STORE_NONE ? route_for(builder, number) : NULL;
    size_t known = builder->entries.count;
    struct store_choice *choice =
        route != NULL ? choice_for(builder, SCOPE_OF_ROUTE(number), number, name) : NULL;
    if (choice == NULL)
        return;
    if (builder->entries.count > known)
        link_entry(builder, route);
    uint32_t *of_kind =
        &choice->certificates[store_builder_certificate(builder, certificate)->kind];
    if (*of_kind == STORE_NONE)
        *of_kind = certificate;
}

static void fill_kinds(struct store_choice *choice, const struct store_choice *from)
{
    for (int kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++)
        if (choice->certificates[kind] == STORE_NONE)
            choice->certificates[kind] = from->certificates[kind];
}

/* Fills in what the route has for exactly this name. */
static void fill_by_name(const struct store_builder *builder, uint32_t route, const char *name,
                         struct store_choice *choice)
{
    const struct name_search search = search_for(builder, SCOPE_OF_ROUTE(route), name);
    const struct built_entry *entry = find_entry(&search);
    if (entry != NULL && entry->first != STORE_NONE)
        fill_kinds(choice, &choice_at(builder, entry->first)->choice);
}

/* Fills in what the route has for the name, and for its wildcard. */
static void fill_choice(const struct store_builder *builder, uint32_t route, const char *name,
                        struct store_choice *choice)
{
    char wildcard[STORE_NAME_MAX + 1];
    fill_by_name(builder, route, name, choice);
    if (store_wildcard_for(name, wildcard))
        fill_by_name(builder, route, wildcard, choice);
}

static bool is_empty(const struct store_choice *choice)
{
    for (int kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++)
        if (choice->certificates[kind] != STORE_NONE)
            return false;
    return true;
}

bool store_builder_has_certificates(const struct store_builder *builder, uint32_t route)
{
    const struct built_route *built =
        route < builder->routes.count ? array_at(&builder->routes, route) : NULL;
    return built != NULL && built->first_certificate != STORE_NONE;
}

/* The first certificate of a route comes before others of its kind for its first name. */
static struct store_choice default_choice(const struct store_builder *builder, uint32_t number)
{
    struct store_choice choice = no_choice(number);
    if (!store_builder_has_certificates(builder, number))
        return choice;
    const struct built_route *route = array_at(&builder->routes, number);
    const struct store_certificate *first =
        store_builder_certificate(builder, route->first_certificate);
    choice.certificates[first->kind] = route->first_certificate;
    if (first->name_count > 0)
        fill_choice(builder, number, store_builder_peek(builder, first->names), &choice);
    return choice;
}

void store_builder_publish_name(struct store_builder *builder, uint32_t frontend, uint32_t route,
                                const char *name, uint32_t origin)
{
    struct store_choice *choice = choice_for(builder, frontend, route, name);
    if (choice == NULL || origin == STORE_NONE)
        return;
    fill_choice(builder, origin, name, choice);
    if (!is_empty(choice))
        return;
    const struct store_choice standard = default_choice(builder, origin);
    fill_kinds(choice, &standard);
}

/* Whether the route was the last to be published for the wildcard that stands for the name. */
static bool is_covered(const struct store_builder *builder, uint32_t frontend, uint32_t route,
                       const char *name)
{
    char wildcard[STORE_NAME_MAX + 1];
    if (!store_wildcard_for(name, wildcard))
        return false;
    const struct name_search search = search_for(builder, frontend, wildcard);
    const struct built_entry *entry = find_entry(&search);
    return entry != NULL && entry->last != STORE_NONE &&
           choice_at(builder, entry->last)->choice.route == route;
}

/* Publishes the route by the names that the origin has certificates for: all, or the covered. */
static void publish(struct store_builder *builder, uint32_t frontend, uint32_t route,
                    uint32_t origin, bool covered)
{
    char name[STORE_NAME_MAX + sizeof STORE_ADDRESS_PREFIX];
    const struct built_route *from = route_for(builder, origin);
    uint32_t at = from != NULL ? from->first_entry : STORE_NONE;
    while (at != STORE_NONE && builder->reason == 0) {
        const struct built_entry *entry = array_at(&builder->entries, at);
        /* a copy, because the bytes move when they become more */
        snprintf(name, sizeof name, "%s", (const char *)store_builder_peek(builder, entry->name));
        at = entry->next;
        if (covered && !is_covered(builder, frontend, route, name))
            continue;
        struct store_choice *choice = choice_for(builder, frontend, route, name);
        if (choice != NULL)
            fill_choice(builder, origin, name, choice);
    }
}

void store_builder_publish(struct store_builder *builder, uint32_t frontend, uint32_t route)
{
    publish(builder, frontend, route, route, false);
}

void store_builder_publish_covered(struct store_builder *builder, uint32_t frontend, uint32_t route,
                                   uint32_t origin)
{
    publish(builder, frontend, route, origin, true);
}

void store_builder_note_failure(struct store_builder *builder)
{
    builder->failed++;
}

/* ---- the end ---- */

/* Makes room for a table, and says in the header where it is. NULL: there is none. */
static void *make_table(struct store_builder *builder, enum store_table_name name, size_t count)
{
    size_t start = (builder->used + STORE_ALIGNMENT - 1) / STORE_ALIGNMENT * STORE_ALIGNMENT;
    size_t size = count * store_element_sizes[name];
    if (!make_room(builder, start - builder->used + size))
        return NULL;
    builder->used = start + size;
    ((struct store_header *)builder->base)->tables[name] =
        (struct store_table){.offset = start, .count = count};
    return builder->base + start;
}

static bool write_array(struct store_builder *builder, enum store_table_name name,
                        const struct array *array)
{
    void *table = make_table(builder, name, array->count);
    if (table != NULL && array->count > 0)
        memcpy(table, array->items, array->count * array->item_size);
    return table != NULL;
}

/* The choices of a name lie one behind the other. */
static bool write_entries(struct store_builder *builder)
{
    size_t entry_count = 0, choice_count = 0;
    for (size_t i = 0; i < builder->entries.count; i++)
        entry_count +=
            ((struct built_entry *)array_at(&builder->entries, i))->scope < FRONTENDS_MAX;
    struct store_choice *choices = make_table(builder, TABLE_CHOICES, builder->choices.count);
    if (choices == NULL)
        return false;
    size_t choices_at = (size_t)((char *)choices - builder->base);
    struct store_entry *entries = make_table(builder, TABLE_ENTRIES, entry_count);
    if (entries == NULL)
        return false;
    choices = (struct store_choice *)(builder->base + choices_at); /* the mapping may have moved */
    entry_count = 0;
    for (size_t i = 0; i < builder->entries.count; i++) {
        const struct built_entry *from = array_at(&builder->entries, i);
        if (from->scope >= FRONTENDS_MAX)
            continue;
        struct store_entry *entry = &entries[entry_count++];
        *entry = (struct store_entry){
            .frontend = from->scope, .name = from->name, .choice = (uint32_t)choice_count};
        for (uint32_t at = from->first; at != STORE_NONE; at = choice_at(builder, at)->next)
            choices[choice_count++] = choice_at(builder, at)->choice;
        entry->choice_count = (uint32_t)choice_count - entry->choice;
    }
    ((struct store_header *)builder->base)->tables[TABLE_CHOICES].count = choice_count;
    return true;
}

static bool write_slots(struct store_builder *builder)
{
    const struct store_table entries =
        ((struct store_header *)builder->base)->tables[TABLE_ENTRIES];
    size_t count = STORE_ALIGNMENT;
    while (count < 2 * entries.count)
        count *= 2;
    uint32_t *slots = make_table(builder, TABLE_SLOTS, count);
    if (slots == NULL)
        return false;
    memset(slots, 0, count * sizeof *slots);
    const struct store_entry *entry = (const struct store_entry *)(builder->base + entries.offset);
    for (uint32_t i = 0; i < entries.count; i++) {
        size_t at = store_name_hash(builder->seed, entry[i].frontend,
                                    store_builder_peek(builder, entry[i].name));
        while (slots[at & (count - 1)] != 0)
            at++;
        slots[at & (count - 1)] = i + 1;
    }
    return true;
}

static bool write_defaults(struct store_builder *builder, uint32_t routes)
{
    struct store_choice *defaults = make_table(builder, TABLE_DEFAULTS, routes);
    if (defaults == NULL)
        return false;
    for (uint32_t route = 0; route < routes; route++)
        defaults[route] = default_choice(builder, route);
    return true;
}

static bool write_all(struct store_builder *builder, uint32_t routes)
{
    struct store_table bytes = {.offset = sizeof(struct store_header),
                                .count = builder->used - sizeof(struct store_header)};
    ((struct store_header *)builder->base)->tables[TABLE_BYTES] = bytes;
    if (!write_array(builder, TABLE_CERTIFICATES, &builder->certificates) ||
        !write_array(builder, TABLE_CHAIN_CERTIFICATES, &builder->chain_certificates.spans) ||
        !write_array(builder, TABLE_CHAINS, &builder->chains) || !write_entries(builder) ||
        !write_defaults(builder, routes) || !write_slots(builder))
        return false;
    struct store_header *header = (struct store_header *)builder->base;
    header->magic = STORE_MAGIC;
    header->version = STORE_VERSION;
    header->failed = builder->failed;
    header->size = builder->used;
    header->seed = builder->seed;
    return true;
}

int store_builder_seal(struct store_builder *builder, uint32_t routes)
{
    int memory = -1;
    if (builder->reason == 0 && write_all(builder, routes)) {
        munmap(builder->base, builder->room);
        builder->base = NULL;
        if (ftruncate(builder->memory, (off_t)builder->used) == 0 &&
            fcntl(builder->memory, F_ADD_SEALS, SEALS) == 0) {
            memory = builder->memory;
            builder->memory = -1;
        } else {
            fail(builder, errno);
        }
    }
    int reason = builder->reason;
    store_builder_free(builder);
    errno = reason;
    return memory;
}
