#include "proxy/store/builder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/store/names.h"
#include "proxy/store/wildcard.h"

struct built_route {
    uint32_t first_certificate;       /* STORE_NONE: it has none */
    uint32_t first_entry, last_entry; /* of its names; STORE_NONE: it has none */
};

struct store_builder {
    struct draft draft;
    uint32_t failed;
    struct array certificates, chains, failures;
    struct array routes; /* struct built_route */
    struct names names;
    struct shared_spans chain_certificates, texts;
};

struct store_builder *store_builder_new(void)
{
    struct store_builder *builder = calloc(1, sizeof *builder);
    if (builder == NULL)
        return NULL;
    *builder = (struct store_builder){.certificates = ARRAY_INIT(struct store_certificate),
                                      .chains = ARRAY_INIT(uint32_t),
                                      .failures = ARRAY_INIT(struct store_failure),
                                      .routes = ARRAY_INIT(struct built_route),
                                      .chain_certificates = SHARED_SPANS_INIT,
                                      .texts = SHARED_SPANS_INIT};
    names_init(&builder->names, &builder->draft);
    if (draft_open(&builder->draft))
        return builder;
    store_builder_free(builder);
    return NULL;
}

void store_builder_free(struct store_builder *builder)
{
    if (builder == NULL)
        return;
    draft_close(&builder->draft);
    array_free(&builder->certificates);
    array_free(&builder->chains);
    array_free(&builder->failures);
    array_free(&builder->routes);
    names_free(&builder->names);
    shared_spans_free(&builder->chain_certificates);
    shared_spans_free(&builder->texts);
    free(builder);
}

static void fail(struct store_builder *builder, int reason)
{
    draft_fail(&builder->draft, reason);
}

/* ---- bytes ---- */

struct store_span store_builder_bytes(struct store_builder *builder, const void *bytes,
                                      size_t length)
{
    return draft_put(&builder->draft, bytes, length, 0);
}

struct store_span store_builder_text(struct store_builder *builder, const char *text)
{
    return draft_put(&builder->draft, text, strlen(text), 1);
}

const void *store_builder_peek(const struct store_builder *builder, struct store_span span)
{
    return draft_peek(&builder->draft, span);
}

struct store_span store_builder_common_text(struct store_builder *builder, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return (struct store_span){0};
    uint32_t number = draft_share(&builder->draft, &builder->texts, text, strlen(text), 1);
    return builder->draft.reason == 0
               ? *(struct store_span *)array_at(&builder->texts.spans, number)
               : (struct store_span){0};
}

uint32_t store_builder_chain_certificate(struct store_builder *builder, const void *der,
                                         size_t length)
{
    return draft_share(&builder->draft, &builder->chain_certificates, der, length, 0);
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

bool store_builder_has_certificates(const struct store_builder *builder, uint32_t number)
{
    const struct built_route *route =
        number < builder->routes.count ? array_at(&builder->routes, number) : NULL;
    return route != NULL && route->first_certificate != STORE_NONE;
}

/* Notes that the route has one more name, which is the last entry. */
static void link_entry(struct store_builder *builder, struct built_route *route)
{
    uint32_t number = (uint32_t)builder->names.entries.count - 1;
    if (route->last_entry != STORE_NONE)
        names_entry(&builder->names, route->last_entry)->next = number;
    else
        route->first_entry = number;
    route->last_entry = number;
}

void store_builder_name(struct store_builder *builder, uint32_t number, const char *name,
                        uint32_t certificate)
{
    struct built_route *route = certificate != STORE_NONE ? route_for(builder, number) : NULL;
    size_t known = builder->names.entries.count;
    struct store_choice *choice =
        route != NULL ? names_choice_for(&builder->names, NAMES_OF_ROUTE(number), number, name)
                      : NULL;
    if (choice == NULL)
        return;
    if (builder->names.entries.count > known)
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
    const struct store_choice *own = names_first(&builder->names, NAMES_OF_ROUTE(route), name);
    if (own != NULL)
        fill_kinds(choice, own);
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

/* The first certificate of a route comes before others of its kind for its first name. */
static struct store_choice default_choice(const struct store_builder *builder, uint32_t number)
{
    struct store_choice choice = names_no_choice(number);
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
    struct store_choice *choice = names_choice_for(&builder->names, frontend, route, name);
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
    const struct store_choice *last = names_last(&builder->names, frontend, wildcard);
    return last != NULL && last->route == route;
}

/* Publishes the route by the names that the origin has certificates for: all, or the covered. */
static void publish(struct store_builder *builder, uint32_t frontend, uint32_t route,
                    uint32_t origin, bool covered)
{
    char name[STORE_NAME_MAX + sizeof STORE_ADDRESS_PREFIX];
    const struct built_route *from = route_for(builder, origin);
    uint32_t at = from != NULL ? from->first_entry : STORE_NONE;
    while (at != STORE_NONE && builder->draft.reason == 0) {
        const struct named_entry *entry = names_entry(&builder->names, at);
        /* a copy, because the bytes move when they become more */
        snprintf(name, sizeof name, "%s", (const char *)store_builder_peek(builder, entry->name));
        at = entry->next;
        if (covered && !is_covered(builder, frontend, route, name))
            continue;
        struct store_choice *choice = names_choice_for(&builder->names, frontend, route, name);
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

void store_builder_note_failure(struct store_builder *builder, const char *file, const char *reason,
                                uint32_t route, bool kept)
{
    if (builder->failed++ >= FAILURES_MAX)
        return;
    const struct store_failure failure = {.file = store_builder_text(builder, file),
                                          .reason = store_builder_text(builder, reason),
                                          .route = route,
                                          .kept = kept};
    if (!array_add(&builder->failures, &failure))
        fail(builder, ENOMEM);
}

/* ---- the end ---- */

static bool write_defaults(struct store_builder *builder, uint32_t routes)
{
    struct store_choice *defaults = draft_table(&builder->draft, TABLE_DEFAULTS, routes);
    for (uint32_t route = 0; defaults != NULL && route < routes; route++)
        defaults[route] = default_choice(builder, route);
    return defaults != NULL;
}

static bool write_all(struct store_builder *builder, uint32_t routes)
{
    struct draft *draft = &builder->draft;
    draft_header(draft)->tables[TABLE_BYTES] = (struct store_table){
        .offset = sizeof(struct store_header), .count = draft->used - sizeof(struct store_header)};
    if (!draft_write_array(draft, TABLE_CERTIFICATES, &builder->certificates) ||
        !draft_write_array(draft, TABLE_CHAIN_CERTIFICATES, &builder->chain_certificates.spans) ||
        !draft_write_array(draft, TABLE_CHAINS, &builder->chains) ||
        !draft_write_array(draft, TABLE_FAILURES, &builder->failures) ||
        !names_write(&builder->names) || !write_defaults(builder, routes))
        return false;
    struct store_header *header = draft_header(draft);
    header->magic = STORE_MAGIC;
    header->version = STORE_VERSION;
    header->failed = builder->failed;
    header->size = draft->used;
    header->seed = draft->seed;
    return true;
}

int store_builder_seal(struct store_builder *builder, uint32_t routes)
{
    struct draft *draft = &builder->draft;
    int memory = draft->reason == 0 && write_all(builder, routes) ? draft_seal(draft) : -1;
    int reason = draft->reason;
    store_builder_free(builder);
    errno = reason;
    return memory;
}
