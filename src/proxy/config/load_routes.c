#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "proxy/config/directives.h"
#include "proxy/config/loading.h"

static int line_of(const struct conf_section *section, const char *name)
{
    return conf_value_at(section, conf_find(&proxy_grammar, SECTION_ROUTE, name), 0).line;
}

static bool find_backend(struct proxy_load *load, const struct conf_section *section,
                         struct route_config *route)
{
    const struct conf_directive *directive = conf_find(&proxy_grammar, SECTION_ROUTE, "backend");
    route->backend = NO_BACKEND;
    if (!conf_given(section, directive))
        return true;
    struct conf_value name = conf_value_at(section, directive, 0);
    for (size_t i = 0; i < load->config->backend_count; i++)
        if (strcmp(load->config->backends[i].name, name.text) == 0) {
            route->backend = i;
            return true;
        }
    return conf_refuse(section, name.line, load->error, "there is no backend '%s'", name.text);
}

static const char *policy_fault(const struct tls_policy_config *policy)
{
    if (policy->tls_min > policy->tls_max)
        return "tls-min is higher than tls-max";
    if (policy->client.wanted != CLIENT_CERTIFICATE_NONE && policy->client.ca_file == NULL)
        return "client-certificate needs 'client-ca-file'";
    return NULL;
}

/* What is wrong with a frontend's own route; NULL: nothing. It needs nothing at all if it serves
 * nobody. */
static const char *own_fault(const struct frontend_config *frontend)
{
    const struct route_config *own = frontend->routes;
    bool serves = !frontend->unknown_name_reject || frontend->route_count == 1;
    if (own->backend == NO_BACKEND && (serves || route_has_certificates(own)))
        return "has no 'backend'";
    if (own->passthrough && route_has_certificates(own))
        return "has certificates, which 'passthrough' does not use";
    if (!own->passthrough && !route_has_certificates(own) && serves)
        return "has no 'certificate'";
    return policy_fault(&own->policy);
}

static const char *route_fault(const struct frontend_config *frontend,
                               const struct route_config *route)
{
    if (route->backend == NO_BACKEND)
        return "has no 'backend'";
    if (route->name_count == 0 && !route_has_certificates(route))
        return "has neither 'names' nor certificates";
    if (route->passthrough)
        return route_has_certificates(route) ? "has certificates, which 'passthrough' does not use"
                                             : NULL;
    if (!route_has_certificates(route) && !route_has_certificates(frontend->routes))
        return "has no 'certificate'";
    return policy_fault(&route->policy);
}

/* In `in-process` mode the worker reads the keys, and only those that the file names. */
static bool check_mode(struct proxy_load *load, const struct conf_section *section,
                       const struct route_config *route)
{
    const char *from = route->directory != NULL ? "certificates"
                       : route->list != NULL    ? "certificate-list"
                                                : NULL;
    return from == NULL || load->config->signing != SIGNING_IN_PROCESS ||
           conf_refuse(section, line_of(section, from), load->error,
                       "'%s' needs immured: with signing = in-process each certificate must be a "
                       "section",
                       from);
}

static bool fill_route(struct proxy_load *load, const struct conf_section *section,
                       const struct conf_section *certificates, struct route_config *route)
{
    route->line = conf_line(section);
    route->name = strdup(conf_name(section));
    route->number = load->config->route_count++;
    return load_fill(load, section, route) && find_backend(load, section, route) &&
           check_mode(load, section, route) && load_authority(load, section, route) &&
           load_certificates(load, certificates, route);
}

/* ---- names that two routes have ---- */

struct use {
    const char *name;
    const struct route_config *route;
};

static int compare_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
    if (a_size != b_size)
        return a_size < b_size ? -1 : 1;
    return a_size > 0 ? memcmp(a, b, a_size) : 0;
}

static int compare_conditions(const struct route_conditions *a, const struct route_conditions *b)
{
    int order = compare_bytes(a->alpn, a->alpn_length, b->alpn, b->alpn_length);
    return order != 0 ? order
                      : compare_bytes(a->networks, a->network_count * sizeof *a->networks,
                                      b->networks, b->network_count * sizeof *b->networks);
}

static int compare_uses(const void *left, const void *right)
{
    const struct use *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    if (order == 0)
        order = compare_conditions(&a->route->conditions, &b->route->conditions);
    if (order == 0)
        order = a->route->number < b->route->number ? -1 : a->route->number > b->route->number;
    return order;
}

static size_t list_names(const struct frontend_config *frontend, struct use *uses)
{
    size_t count = 0;
    for (size_t i = 0; i < frontend->route_count; i++)
        for (size_t j = 0; j < frontend->routes[i].name_count; j++, count++)
            if (uses != NULL)
                uses[count] = (struct use){frontend->routes[i].names[j], &frontend->routes[i]};
    return count;
}

/* If two routes had the same name under the same conditions, the second would serve nobody. */
static bool check_names(struct proxy_load *load, const struct conf_section *section,
                        const struct frontend_config *frontend)
{
    size_t count = list_names(frontend, NULL);
    struct use *uses = calloc(count + 1, sizeof *uses);
    if (uses == NULL)
        return conf_refuse(section, frontend->line, load->error, "out of memory");
    list_names(frontend, uses);
    qsort(uses, count, sizeof *uses, compare_uses);
    bool good = true;
    for (size_t i = 1; good && i < count; i++) {
        const struct route_config *first = uses[i - 1].route, *second = uses[i].route;
        if (strcmp(uses[i - 1].name, uses[i].name) != 0 ||
            compare_conditions(&first->conditions, &second->conditions) != 0)
            continue;
        good =
            first == second
                ? conf_refuse(section, first->line, load->error,
                              "route '%s': the name '%s' is given twice", first->name, uses[i].name)
                : conf_refuse(section, second->line, load->error,
                              "route '%s': the route '%s' in line %d has the name '%s' too, for "
                              "the same clients",
                              second->name, first->name, first->line, uses[i].name);
    }
    free(uses);
    return good;
}

/* ---- all together ---- */

static bool fill_all(struct proxy_load *load, const struct conf_section *section,
                     struct frontend_config *frontend, size_t count)
{
    struct conf_section own = conf_section_own(section, SECTION_ROUTE);
    frontend->routes[0].own = true;
    frontend->route_count = 1;
    if (!fill_route(load, &own, section, frontend->routes))
        return false;
    while (frontend->route_count < count) {
        struct conf_section inner =
            conf_section_at(section, SECTION_ROUTE, frontend->route_count - 1);
        if (!fill_route(load, &inner, &inner, &frontend->routes[frontend->route_count++]))
            return false;
    }
    return true;
}

bool load_routes(struct proxy_load *load, const struct conf_section *section,
                 struct frontend_config *frontend)
{
    size_t count = 1 + conf_section_count(section, SECTION_ROUTE);
    frontend->routes = calloc(count, sizeof *frontend->routes);
    if (frontend->routes == NULL)
        return conf_refuse(section, frontend->line, load->error, "out of memory");
    if (!fill_all(load, section, frontend, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct route_config *route = &frontend->routes[i];
        const char *fault = route->own ? own_fault(frontend) : route_fault(frontend, route);
        if (fault != NULL)
            return conf_refuse(section, route->line, load->error, "%s '%s'%s %s", route_kind(route),
                               route->name, strncmp(fault, "has ", 4) == 0 ? "" : ":", fault);
    }
    return check_names(load, section, frontend);
}

void load_routes_clear(struct frontend_config *frontend)
{
    for (size_t i = 0; i < frontend->route_count; i++) {
        load_certificates_clear(&frontend->routes[i]);
        conf_clear(&proxy_grammar, SECTION_ROUTE, &frontend->routes[i]);
        free(frontend->routes[i].name);
    }
    free(frontend->routes);
}
