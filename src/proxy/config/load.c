#include "proxy/config/load.h"

#include <libgen.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/log.h"
#include "conf/document.h"
#include "conf/text.h"
#include "conf/value.h"
#include "proxy/config/address.h"
#include "proxy/config/descriptors.h"
#include "proxy/config/directives.h"
#include "proxy/config/loading.h"

bool load_fill(struct proxy_load *load, const struct conf_section *section, void *base)
{
    return conf_fill(section, base, load->directory, load->error);
}

/* No listening address of this frontend is used before, in this frontend or in another. */
static bool check_addresses(struct proxy_load *load, const struct conf_section *section,
                            const struct frontend_config *frontend)
{
    const struct proxy_config *config = load->config;
    for (size_t i = 0; i < frontend->listen_count; i++)
        for (const struct frontend_config *other = config->frontends; other <= frontend; other++)
            for (size_t j = 0; j < (other == frontend ? i : other->listen_count); j++)
                if (address_equal(&frontend->listen[i], &other->listen[j]))
                    return conf_refuse(section, frontend->listen[i].line, load->error,
                                       "listen %s is used twice (first in line %d)",
                                       frontend->listen[i].text, other->listen[j].line);
    return true;
}

static bool fill_frontend(struct proxy_load *load, const struct conf_section *section,
                          struct frontend_config *frontend)
{
    frontend->line = conf_line(section);
    frontend->name = strdup(conf_name(section));
    return load_fill(load, section, frontend) && load_routes(load, section, frontend) &&
           check_addresses(load, section, frontend);
}

static bool fill_frontends(struct proxy_load *load, const struct conf_section *top)
{
    struct proxy_config *config = load->config;
    size_t count = conf_section_count(top, SECTION_FRONTEND);
    if (count == 0)
        return conf_refuse(top, conf_last_line(top), load->error, "there is no 'frontend'");
    config->frontends = calloc(count, sizeof *config->frontends);
    if (config->frontends == NULL)
        return conf_refuse(top, conf_line(top), load->error, "out of memory");
    while (config->frontend_count < count) {
        struct conf_section section =
            conf_section_at(top, SECTION_FRONTEND, config->frontend_count);
        if (!fill_frontend(load, &section, &config->frontends[config->frontend_count++]))
            return false;
    }
    return true;
}

static bool check_hosts(struct proxy_load *load, const struct conf_section *section)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    const struct conf_directive *directive = conf_find(&proxy_grammar, SECTION_ADMIN, "hosts");
    for (size_t i = 0; i < load->config->admin.host_count; i++) {
        struct conf_value host = conf_value_at(section, directive, i);
        if (host.text[strspn(host.text, allowed)] != '\0')
            return conf_refuse(section, host.line, load->error,
                               "hosts: '%s' is not the name of a host, without a port", host.text);
    }
    return true;
}

static bool fill_admin(struct proxy_load *load, const struct conf_section *top)
{
    struct proxy_config *config = load->config;
    struct conf_section section;
    if (!conf_section_single(top, SECTION_ADMIN, &config->admin.enabled, &section, load->error))
        return false;
    if (!config->admin.enabled)
        return true;
    if (!load_fill(load, &section, config) || !check_hosts(load, &section))
        return false;
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].listen_count; j++)
            if (address_equal(&config->admin.listen, &config->frontends[i].listen[j]))
                return conf_refuse(&section, config->admin.listen.line, load->error,
                                   "listen %s is used twice (first in line %d)",
                                   config->admin.listen.text, config->frontends[i].listen[j].line);
    if (!address_is_local(&config->admin.listen))
        log_warning("%s:%d: the admin listener %s can be reached from other machines", config->file,
                    config->admin.listen.line, config->admin.listen.text);
    return true;
}

/* These directives are about a running immured; the others of the section are about our own. */
static bool is_for_socket(const struct conf_directive *directive)
{
    return strcmp(directive->name, "socket") == 0 || strcmp(directive->name, "peer-user") == 0;
}

static bool check_socket(struct proxy_load *load, const struct conf_section *section)
{
    for (size_t i = 0; i < proxy_grammar.directive_count; i++) {
        const struct conf_directive *directive = &proxy_grammar.directives[i];
        if (directive->section != SECTION_KEYS || is_for_socket(directive) ||
            !conf_given(section, directive))
            continue;
        return conf_refuse(section, conf_value_at(section, directive, 0).line, load->error,
                           "'%s' is for our own immured; with 'socket' there is none",
                           directive->name);
    }
    return true;
}

static bool fill_keys(struct proxy_load *load, const struct conf_section *top)
{
    struct proxy_config *config = load->config;
    struct conf_section section;
    bool found;
    if (!conf_section_single(top, SECTION_KEYS, &found, &section, load->error))
        return false;
    if (!found)
        return true;
    return load_fill(load, &section, config) &&
           (config->keys.socket == NULL || check_socket(load, &section));
}

/*
 * The random of a server without TLS 1.3 has no sentinel at its end (RFC 8446, section 4.1.3), and
 * without one the policy `tls-server` signs nothing for TLS 1.2. So the keys of such a route get
 * the policy `tls12-server` in place of `tls-server`, wherever they are used. Other policies stay,
 * and so do keys that only other routes use.
 */
static const char unfit_policy[] = "tls-server", fit_policy[] = "tls12-server";

static bool is_unfit(const struct certificate_config *certificate)
{
    return strcmp(certificate->policy, unfit_policy) == 0;
}

/* Adds the keys that a route uses and that must have the other policy. */
static bool list_unfit(const struct proxy_config *config, const struct frontend_config *frontend,
                       const struct route_config *route, struct name_table *keys)
{
    const struct route_config *from = route_has_certificates(route) ? route : frontend->routes;
    if (from->directory != NULL || from->list != NULL)
        log_warning(
            "%s:%d: %s '%s' has no TLS 1.3: the keys of its folder or list %s policy %s, not "
            "%s",
            config->file, from->line, route_kind(route), route->name,
            config->keys.socket == NULL ? "have" : "need in immured the", fit_policy, unfit_policy);
    for (size_t i = 0; i < from->certificate_count; i++) {
        const struct certificate_config *certificate = &from->certificates[i];
        size_t known = keys->count;
        if (!is_unfit(certificate))
            continue;
        if (!name_table_add(keys, certificate->key, NULL))
            return false;
        if (keys->count > known)
            log_warning("%s:%d: %s '%s' has no TLS 1.3: its key %s %s policy %s, not %s",
                        config->file, certificate->line, route_kind(route), route->name,
                        certificate->key,
                        config->keys.socket == NULL ? "has" : "needs in immured the", fit_policy,
                        unfit_policy);
    }
    return true;
}

static bool set_fit(const struct proxy_config *config, const struct name_table *keys)
{
    struct certificate_walk walk = {0};
    struct certificate_config *certificate;
    while ((certificate = certificate_walk_next(config, &walk)) != NULL) {
        size_t index;
        if (!is_unfit(certificate) || !name_table_find(keys, certificate->key, &index))
            continue;
        free(certificate->policy);
        certificate->policy = strdup(fit_policy);
        if (certificate->policy == NULL)
            return false;
    }
    return true;
}

static bool fit_policies(struct proxy_load *load, const struct conf_section *top)
{
    const struct proxy_config *config = load->config;
    struct name_table keys = NAME_TABLE_INIT;
    bool good = true;
    if (config->signing == SIGNING_IN_PROCESS)
        return true;
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; good && j < config->frontends[i].route_count; j++) {
            const struct frontend_config *frontend = &config->frontends[i];
            const struct route_config *route = &frontend->routes[j];
            if (route_lacks_tls13(route))
                good = list_unfit(config, frontend, route, &keys);
        }
    good = good && set_fit(config, &keys);
    name_table_free(&keys);
    return good || conf_refuse(top, conf_line(top), load->error, "out of memory");
}

static const struct address *find_unix(const struct address *addresses, size_t count,
                                       const char *path)
{
    for (size_t i = 0; i < count; i++) {
        const struct sockaddr_un *socket = (const struct sockaddr_un *)&addresses[i].socket;
        if (socket->sun_family == AF_UNIX && strcmp(socket->sun_path, path) == 0)
            return &addresses[i];
    }
    return NULL;
}

/* Its path is no other socket's. */
static bool check_control_socket(struct proxy_load *load, const struct conf_section *top)
{
    const struct proxy_config *config = load->config;
    const char *path = config->control_socket;
    if (path == NULL)
        return true;
    int line = conf_value_at(top, conf_find(&proxy_grammar, SECTION_TOP, "control-socket"), 0).line;
    if (strlen(path) > CONTROL_SOCKET_PATH_MAX)
        return conf_refuse(top, line, load->error,
                           "control-socket: the path is longer than %d bytes",
                           CONTROL_SOCKET_PATH_MAX);
    const struct address *same =
        config->admin.enabled ? find_unix(&config->admin.listen, 1, path) : NULL;
    for (size_t i = 0; same == NULL && i < config->frontend_count; i++)
        same = find_unix(config->frontends[i].listen, config->frontends[i].listen_count, path);
    return same == NULL ||
           conf_refuse(top, line, load->error,
                       "control-socket: %s is used twice (first in line %d)", path, same->line);
}

/* "auto" is one thread for each CPU, within the bounds of the directive. */
static void set_by_cpus(unsigned *threads, enum section section, const char *name)
{
    const struct conf_directive *directive = conf_find(&proxy_grammar, section, name);
    cpu_set_t set;
    if (*threads == 0)
        *threads = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    if (*threads > directive->most)
        *threads = (unsigned)directive->most;
}

/* For connections "auto" is as many as the limit of descriptors allows. */
static void set_by_descriptors(struct proxy_config *config)
{
    uint64_t most = conf_find(&proxy_grammar, SECTION_TOP, "max-connections")->most;
    uint64_t room = descriptors_connections(config->workers);
    config->max_connections_given = config->max_connections != 0;
    if (!config->max_connections_given)
        config->max_connections = (unsigned)(room < most ? room : most);
}

static bool fill_all(struct proxy_load *load, const struct conf_section *top)
{
    struct proxy_config *config = load->config;
    if (!load_fill(load, top, config) || !load_backends(load, top) || !fill_frontends(load, top) ||
        !fill_admin(load, top) || !fill_keys(load, top) || !fit_policies(load, top) ||
        !check_control_socket(load, top))
        return false;
    set_by_cpus(&config->workers, SECTION_TOP, "workers");
    set_by_cpus(&config->keys.threads, SECTION_KEYS, "threads");
    set_by_descriptors(config);
    return true;
}

static struct proxy_config *load_tree(const struct conf_section *top, struct conf_error *error)
{
    char *copy = strdup(top->file);
    struct proxy_load load = {.config = calloc(1, sizeof *load.config), .error = error};
    bool good = copy != NULL && load.config != NULL &&
                (load.config->file = strdup(top->file)) != NULL &&
                (load.directory = strdup(dirname(copy))) != NULL;
    if (good)
        good = fill_all(&load, top);
    else
        snprintf(error->text, sizeof error->text, "%s: out of memory", top->file);
    free(copy);
    free(load.directory);
    name_table_free(&load.keys);
    name_table_free(&load.authorities);
    free(load.use);
    if (good)
        return load.config;
    config_free(load.config);
    return NULL;
}

struct proxy_config *config_load(const char *file, struct conf_error *error)
{
    struct conf_section top;
    struct proxy_config *config = NULL;
    char *text = conf_text_read(file);
    if (conf_parse(&proxy_grammar, file, text, &top, error)) {
        config = load_tree(&top, error);
        conf_close(&top);
    }
    if (config != NULL)
        config->text = text;
    else
        free(text);
    return config;
}

static void frontend_clear(struct frontend_config *frontend)
{
    load_routes_clear(frontend);
    conf_clear(&proxy_grammar, SECTION_FRONTEND, frontend);
    free(frontend->name);
}

void config_free(struct proxy_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->frontend_count; i++)
        frontend_clear(&config->frontends[i]);
    load_backends_clear(config);
    load_authorities_clear(config);
    conf_clear(&proxy_grammar, SECTION_TOP, config);
    conf_clear(&proxy_grammar, SECTION_ADMIN, config);
    conf_clear(&proxy_grammar, SECTION_KEYS, config);
    free(config->frontends);
    free(config->file);
    free(config->text);
    free(config);
}

void config_print_directives(FILE *out)
{
    fprintf(out,
            "# immure-proxy.conf\n\n"
            "<!-- Written by `immure-proxy --directives`; a test compares. -->\n\n"
            "Directives are `name = value`; lists are `{ \"a\", \"b\" }`; comments begin with `#`. "
            "Quote what is not a plain word (`\"*:8443\"`). `${NAME}` is the environment's. "
            "Durations are a whole number and `us`, `ms`, `s`, `m` or `h`. Relative paths are "
            "relative to the folder of the configuration file. HUP reads the file again; with an "
            "error in it, the running configuration goes on.\n");
    conf_print(&proxy_grammar, "##", out);
}
