#include "proxy/store/sources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/regular_file.h"
#include "proxy/store/builder.h"
#include "proxy/store/directory.h"
#include "proxy/store/intake.h"
#include "proxy/store/list_line.h"

#define LIST_MAX ((size_t)64 << 20)
#define REASON_SIZE 400
#define TLS12_GROUPS "common" /* of the keys of folders and lists */

struct sources {
    const struct proxy_config *config;
    struct store_builder *builder;
    struct intake *intake;
    bool refreshes; /* certificates whose files cannot be used stay as they are */
    bool tries;     /* the store is not meant to be served, so nothing is logged */
    uint32_t frontend;
    const struct route_config *route;
    struct conf_error *error;
};

/* What immured may sign with the keys of folders and lists. The random of a server without TLS 1.3
 * has no sentinel at its end (RFC 8446, section 4.1.3), and tls-server wants one. */
static const char *policy_of(const struct sources *sources, const struct route_config *route)
{
    const struct frontend_config *frontend = &sources->config->frontends[sources->frontend];
    return route_serves_without_tls13(frontend, route) ? "tls12-server" : "tls-server";
}

static struct wanted wanted_by(const struct sources *sources, const struct route_config *route)
{
    return (struct wanted){.frontend = sources->frontend,
                           .route = (uint32_t)route->number,
                           .policy = policy_of(sources, route),
                           .tls12_groups = TLS12_GROUPS,
                           .where = sources->config->file,
                           .line = (uint32_t)route->line};
}

static bool refuse(const struct sources *sources, const char *where, uint32_t line,
                   const char *reason)
{
    snprintf(sources->error->text, sizeof sources->error->text, "%s:%u: certificate: %s", where,
             line, reason);
    return false;
}

static bool add(const struct sources *sources, const struct wanted *wanted)
{
    char reason[REASON_SIZE];
    return intake_add(sources->intake, wanted, reason, sizeof reason) ||
           refuse(sources, wanted->where, wanted->line, reason);
}

/* ---- sections ---- */

static bool add_sections(const struct sources *sources)
{
    const struct route_config *route = sources->route;
    for (size_t i = 0; i < route->certificate_count; i++) {
        const struct certificate_config *section = &route->certificates[i];
        struct wanted wanted = wanted_by(sources, route);
        wanted.chain = section->chain;
        wanted.key = section->key;
        wanted.staple = section->staple;
        wanted.pass_phrase_file = section->pass_phrase_file;
        wanted.policy = section->policy;
        wanted.tls12_groups = section->tls12_groups;
        wanted.line = (uint32_t)section->line;
        wanted.required = true;
        if (!add(sources, &wanted))
            return false;
    }
    return true;
}

/* ---- folders ---- */

static void add_item(void *owner, const struct directory_item *item)
{
    char reason[REASON_SIZE];
    const struct sources *sources = owner;
    struct wanted wanted = wanted_by(sources, sources->route);
    wanted.chain = item->chain;
    wanted.key = item->key;
    wanted.staple = item->staple;
    wanted.staple_is_beside = true;
    if (intake_add(sources->intake, &wanted, reason, sizeof reason))
        return;
    bool kept = sources->refreshes && intake_keep(sources->intake, &wanted);
    if (!sources->tries)
        log_warning("%s:%d: certificates: %s; %s", sources->config->file, sources->route->line,
                    reason, kept ? "the one before goes on" : "it is not served");
    store_builder_note_failure(sources->builder, item->chain, reason, wanted.route, kept);
}

static bool add_directory(struct sources *sources)
{
    char reason[REASON_SIZE];
    const struct route_config *route = sources->route;
    if (route->directory == NULL || directory_for_each(route->directory, add_item, sources))
        return true;
    snprintf(reason, sizeof reason, "%s: %s", route->directory, strerror(errno));
    return refuse(sources, sources->config->file, (uint32_t)route->line, reason);
}

/* ---- lists ---- */

/* The route of this name in the same frontend. */
static const struct route_config *find_route(const struct sources *sources, const char *name)
{
    const struct frontend_config *frontend = &sources->config->frontends[sources->frontend];
    for (size_t i = 0; i < frontend->route_count; i++)
        if (!frontend->routes[i].own && strcmp(frontend->routes[i].name, name) == 0)
            return &frontend->routes[i];
    return NULL;
}

static bool add_line(const struct sources *sources, const char *path, char *text, uint32_t number)
{
    struct list_line line;
    char reason[REASON_SIZE];
    if (!list_line_parse(&line, path, text, reason, sizeof reason)) {
        list_line_free(&line);
        return refuse(sources, path, number, reason);
    }
    bool good = true;
    const struct route_config *route =
        line.route != NULL ? find_route(sources, line.route) : sources->route;
    if (route == NULL) {
        snprintf(reason, sizeof reason, "the frontend has no route '%s'", line.route);
        good = refuse(sources, path, number, reason);
    } else if (line.chain != NULL) {
        struct wanted wanted = wanted_by(sources, route);
        wanted.chain = line.chain;
        wanted.key = line.key;
        wanted.staple = line.staple;
        wanted.names = line.name_count > 0 ? (const char *const *)line.names : NULL;
        wanted.name_count = (uint32_t)line.name_count;
        wanted.where = path;
        wanted.line = number;
        good = add(sources, &wanted);
    }
    list_line_free(&line);
    return good;
}

static bool add_list(const struct sources *sources)
{
    char reason[REASON_SIZE];
    size_t length;
    const char *path = sources->route->list;
    if (path == NULL)
        return true;
    char *text = regular_file_read(path, LIST_MAX, &length);
    if (text == NULL) {
        snprintf(reason, sizeof reason, "%s: %s", path, regular_file_reason(errno));
        return refuse(sources, sources->config->file, (uint32_t)sources->route->line, reason);
    }
    bool good = true;
    char *rest = text, *line;
    for (uint32_t number = 1; good && (line = strsep(&rest, "\n")) != NULL; number++)
        good = add_line(sources, path, line, number);
    free(text);
    return good;
}

/* ---- all of them ---- */

/* A frontend's own route is for clients that no other route is for, so it is published last. */
static void publish(const struct sources *sources, const struct frontend_config *frontend,
                    const struct route_config *route)
{
    uint32_t number = (uint32_t)route->number;
    /* a list of the frontend may have some for the route, too */
    bool has_certificates =
        route_has_certificates(route) || store_builder_has_certificates(sources->builder, number);
    uint32_t origin = route->passthrough ? STORE_NONE
                      : has_certificates ? number
                                         : (uint32_t)frontend->routes[0].number;
    for (size_t i = 0; i < route->name_count; i++)
        store_builder_publish_name(sources->builder, sources->frontend, number, route->names[i],
                                   origin);
    if (route->name_count > 0 && origin != STORE_NONE)
        store_builder_publish_covered(sources->builder, sources->frontend, number, origin);
    if (route->name_count == 0)
        store_builder_publish(sources->builder, sources->frontend, number);
}

static bool add_frontend(struct sources *sources, const struct frontend_config *frontend)
{
    for (size_t i = 0; i < frontend->route_count; i++) {
        sources->route = &frontend->routes[i];
        if (!add_sections(sources) || !add_directory(sources) || !add_list(sources))
            return false;
    }
    for (size_t i = 1; i <= frontend->route_count; i++)
        publish(sources, frontend, &frontend->routes[i % frontend->route_count]);
    return true;
}

static bool add_all(struct sources *sources)
{
    const struct proxy_config *config = sources->config;
    for (size_t i = 0; i < config->frontend_count; i++) {
        sources->frontend = (uint32_t)i;
        if (!add_frontend(sources, &config->frontends[i]))
            return false;
    }
    return true;
}

void sources_load(const struct proxy_config *config, const struct store *before,
                  const struct refusals *refused, bool tries, struct sources_result *result)
{
    *result = (struct sources_result){.memory = -1};
    struct sources sources = {.config = config,
                              .builder = store_builder_new(),
                              .refreshes = refused != NULL,
                              .tries = tries,
                              .error = &result->error};
    snprintf(result->error.text, sizeof result->error.text, "%s: out of memory", config->file);
    if (sources.builder == NULL)
        return;
    sources.intake = intake_new(sources.builder, before, refused);
    bool good = sources.intake != NULL && add_all(&sources);
    if (sources.intake != NULL)
        result->read_count = intake_read_count(sources.intake);
    intake_free(sources.intake);
    if (!good) {
        store_builder_free(sources.builder);
        return;
    }
    result->memory = store_builder_seal(sources.builder, (uint32_t)config->route_count);
    if (result->memory < 0)
        snprintf(result->error.text, sizeof result->error.text, "%s: the store of certificates: %s",
                 config->file, strerror(errno));
}
