/*
 * The names of a store that is being made: what each route has for each name. A name is looked up
 * within a scope: that of a frontend, whose names clients ask for, or that of a route, which is for
 * the making only.
 */
#ifndef PROXY_STORE_NAMES_H
#define PROXY_STORE_NAMES_H

#include "proxy/store/draft.h"

struct names {
    struct draft *draft; /* the text of the names is in it */
    struct array entries, choices;
    struct slots slots;
};

struct named_entry {
    uint32_t scope;
    struct store_span name;
    uint32_t first, last; /* of its choices; STORE_NONE: it has none */
    uint32_t next;        /* of the same route; STORE_NONE: none */
    uint64_t hash;
};

/* That of a frontend is its number. */
#define NAMES_FRONTENDS_MAX (UINT32_C(1) << 31)
#define NAMES_OF_ROUTE(route) (NAMES_FRONTENDS_MAX + (route))

void names_init(struct names *names, struct draft *draft);
void names_free(struct names *names);

/* The choice of the route for the name, if it was the last one, or a new one. NULL: out of memory.
 * The result lives until the next call. */
struct store_choice *names_choice_for(struct names *names, uint32_t scope, uint32_t route,
                                      const char *name);
/* The first choice, and the last one, for exactly this name; NULL: there is none. */
const struct store_choice *names_first(const struct names *names, uint32_t scope, const char *name);
const struct store_choice *names_last(const struct names *names, uint32_t scope, const char *name);
struct named_entry *names_entry(const struct names *names, uint32_t number);

/* A choice of no certificate at all. */
struct store_choice names_no_choice(uint32_t route);

/* Writes the names of frontends, and how they are found. */
bool names_write(const struct names *names);

#endif
