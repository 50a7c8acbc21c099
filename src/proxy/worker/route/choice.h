/*
 * Which route of a frontend, and which certificates, a client gets for the name that it asks for.
 * All is worked out when the configuration is loaded; finding takes constant time.
 *
 * A wildcard certificate serves for the key types of which the name itself has no certificate. If
 * two certificates of one type have the same name in one route, the first in the file is served.
 */
#ifndef PROXY_WORKER_ROUTE_CHOICE_H
#define PROXY_WORKER_ROUTE_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/name_table.h"
#include "proxy/worker/route/certificate.h"

#define CHOICE_NONE SIZE_MAX

/* What one route has for a name. */
struct tls_choice {
    const struct tls_route *route;
    const struct tls_certificate *of[CERTIFICATE_KIND_COUNT]; /* one of each kind, or NULL */
    size_t next; /* that another route has for the same name, or CHOICE_NONE */
};

/* The names of a frontend, with what its routes have for each, in the order of the configuration.
 * Its own route comes last. */
struct choices {
    struct name_table names;
    size_t *first, *last; /* of each name */
    size_t room;
    struct tls_choice *of;
    size_t count;
};

/* Adds all names of a frontend's routes; the first of them is its own. Sets `standard` of each: for
 * clients whose name none of its certificates has. False: out of memory; call choices_free() all
 * the same. */
bool choices_make(struct choices *choices, struct tls_route *routes, size_t route_count);
void choices_free(struct choices *choices);

/* The first of the choices for exactly this name; NULL: there is none. */
const struct tls_choice *choices_find(const struct choices *choices, const char *name);
const struct tls_choice *choices_next(const struct choices *choices,
                                      const struct tls_choice *choice);

/* "*.example.com" for "www.example.com": a wildcard stands for exactly one label (RFC 6125, section
 * 6.4.3). False: no wildcard can match the name. */
#define WILDCARD_SIZE 256
bool wildcard_for(const char *name, char wildcard[WILDCARD_SIZE]);

#endif
