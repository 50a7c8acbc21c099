#include "proxy/worker/route/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/worker/route/tls.h"

bool wildcard_for(const char *name, char wildcard[WILDCARD_SIZE])
{
    const char *dot = strchr(name, '.');
    if (dot == NULL || dot == name || strlen(dot) + 1 >= WILDCARD_SIZE)
        return false;
    snprintf(wildcard, WILDCARD_SIZE, "*%s", dot);
    return true;
}

/* ---- the certificates of one route, by name ---- */

struct selection {
    const struct tls_certificate *of[CERTIFICATE_KIND_COUNT];
};

struct origin {
    struct tls_route *route;
    struct name_table names;
    struct selection *of; /* for each of these names */
};

static bool open_origin(struct origin *origin, struct tls_route *route)
{
    size_t count = 0;
    for (size_t i = 0; i < route->certificate_count; i++)
        count += route->certificates[i].name_count;
    *origin = (struct origin){
        .route = route, .names = NAME_TABLE_INIT, .of = calloc(count + 1, sizeof *origin->of)};
    for (size_t i = 0; origin->of != NULL && i < route->certificate_count; i++) {
        const struct tls_certificate *certificate = &route->certificates[i];
        for (size_t j = 0; j < certificate->name_count; j++) {
            size_t index;
            if (!name_table_add(&origin->names, certificate->names[j], &index))
                return false;
            const struct tls_certificate **of = &origin->of[index].of[certificate->kind];
            *of = *of != NULL ? *of : certificate;
        }
    }
    return origin->of != NULL;
}

static void close_origin(struct origin *origin)
{
    name_table_free(&origin->names);
    free(origin->of);
}

/* Adds what the origin has for exactly this name, where the choice has nothing yet. */
static void fill(struct tls_choice *choice, const struct origin *origin, const char *name)
{
    size_t index;
    if (!name_table_find(&origin->names, name, &index))
        return;
    for (size_t kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++)
        if (choice->of[kind] == NULL)
            choice->of[kind] = origin->of[index].of[kind];
}

static bool is_empty(const struct tls_choice *choice)
{
    static const struct tls_certificate *const nothing[CERTIFICATE_KIND_COUNT];
    return memcmp(choice->of, nothing, sizeof nothing) == 0;
}

static struct tls_choice choose(const struct origin *origin, const struct tls_route *route,
                                const char *name)
{
    struct tls_choice choice = {.route = route, .next = CHOICE_NONE};
    char wildcard[WILDCARD_SIZE];
    fill(&choice, origin, name);
    if (wildcard_for(name, wildcard))
        fill(&choice, origin, wildcard);
    return choice;
}

/* The first certificate, with those of other key types for its first name. */
static struct tls_choice choose_standard(const struct origin *origin, const struct tls_route *route)
{
    const struct tls_certificate *first =
        origin->route->certificate_count > 0 ? origin->route->certificates : NULL;
    struct tls_choice choice = {.route = route, .next = CHOICE_NONE};
    if (first != NULL && first->name_count > 0)
        choice = choose(origin, route, first->names[0]);
    if (first != NULL)
        choice.of[first->kind] = first;
    return choice;
}

/* ---- the names of a frontend ---- */

/* Makes room for one more name and one more choice. */
static bool grow(struct choices *choices)
{
    if (choices->count < choices->room && choices->names.count < choices->room)
        return true;
    size_t room = choices->room > 0 ? 2 * choices->room : 64;
    size_t *first = reallocarray(choices->first, room, sizeof *first);
    choices->first = first != NULL ? first : choices->first;
    size_t *last = reallocarray(choices->last, room, sizeof *last);
    choices->last = last != NULL ? last : choices->last;
    struct tls_choice *of = reallocarray(choices->of, room, sizeof *of);
    choices->of = of != NULL ? of : choices->of;
    if (first == NULL || last == NULL || of == NULL)
        return false;
    choices->room = room;
    return true;
}

/* A route has one choice for each name. */
static bool add(struct choices *choices, const char *name, const struct tls_choice *choice)
{
    size_t known = choices->names.count, index;
    if (!grow(choices) || !name_table_add(&choices->names, name, &index))
        return false;
    bool fresh = choices->names.count > known;
    if (!fresh && choices->of[choices->last[index]].route == choice->route)
        return true;
    choices->of[choices->count] = *choice;
    if (fresh)
        choices->first[index] = choices->count;
    else
        choices->of[choices->last[index]].next = choices->count;
    choices->last[index] = choices->count++;
    return true;
}

static bool has(const struct choices *choices, const char *name, const struct tls_route *route)
{
    size_t index;
    return name_table_find(&choices->names, name, &index) &&
           choices->of[choices->last[index]].route == route;
}

/* The names that the configuration gives. */
static bool add_given(struct choices *choices, const struct origin *origin,
                      const struct tls_route *route)
{
    for (size_t i = 0; i < route->config->name_count; i++) {
        const char *name = route->config->names[i];
        struct tls_choice choice = choose(origin, route, name);
        if (!add(choices, name, is_empty(&choice) ? &route->standard : &choice))
            return false;
    }
    return true;
}

/* The names in the certificates: all, or those for which a wildcard of the route stands. */
static bool add_certified(struct choices *choices, const struct origin *origin,
                          const struct tls_route *route)
{
    char wildcard[WILDCARD_SIZE];
    for (size_t i = 0; i < origin->names.count; i++) {
        const char *name = origin->names.names[i];
        struct tls_choice choice = choose(origin, route, name);
        bool wanted = route->config->name_count == 0 ||
                      (wildcard_for(name, wildcard) && has(choices, wildcard, route));
        if (wanted && !add(choices, name, &choice))
            return false;
    }
    return true;
}

static bool add_route(struct choices *choices, const struct origin *origin, struct tls_route *route)
{
    route->standard = choose_standard(origin, route);
    return add_given(choices, origin, route) && add_certified(choices, origin, route);
}

bool choices_make(struct choices *choices, struct tls_route *routes, size_t route_count)
{
    struct origin own, other;
    bool good = open_origin(&own, &routes[0]);
    for (size_t i = 1; good && i < route_count; i++) {
        bool has_certificates = routes[i].certificate_count > 0;
        good = !has_certificates || open_origin(&other, &routes[i]);
        good = good && add_route(choices, has_certificates ? &other : &own, &routes[i]);
        if (has_certificates)
            close_origin(&other);
    }
    good = good && add_route(choices, &own, &routes[0]);
    close_origin(&own);
    return good;
}

void choices_free(struct choices *choices)
{
    name_table_free(&choices->names);
    free(choices->first);
    free(choices->last);
    free(choices->of);
}

const struct tls_choice *choices_find(const struct choices *choices, const char *name)
{
    size_t index;
    return name_table_find(&choices->names, name, &index) ? &choices->of[choices->first[index]]
                                                          : NULL;
}

const struct tls_choice *choices_next(const struct choices *choices,
                                      const struct tls_choice *choice)
{
    return choice->next != CHOICE_NONE ? &choices->of[choice->next] : NULL;
}
