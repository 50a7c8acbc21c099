#include "proxy/config/config.h"

#include <libgen.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proxy/config/address.h"
#include "proxy/config/descriptors.h"
#include "proxy/config/parse.h"

struct load {
    struct config *config;
    char *directory; /* of the file: what relative paths are relative to */
    struct config_error *error;
};

static bool refuse(struct load *load, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(struct load *load, int line, const char *format, ...)
{
    char reason[sizeof load->error->text / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(load->error->text, sizeof load->error->text, "%s:%d: %s", load->config->file, line,
             reason);
    return false;
}

/* "frontend 'www'", "certificate" ... */
static const char *section_title(cfg_t *section, enum section kind, char *text, size_t size)
{
    const char *title = cfg_title(section);
    if (title != NULL)
        snprintf(text, size, "%s '%s'", section_names[kind], title);
    else
        snprintf(text, size, "%s", section_names[kind]);
    return text;
}

static bool fill_directive(struct load *load, cfg_t *section, const struct directive *directive,
                           void *base)
{
    size_t count = parse_count(section, directive);
    char text[256];
    int line;
    if (count == 0 && !directive->required)
        return true;
    if (count == 0)
        return refuse(load, parse_section_line(section), "%s has no '%s'",
                      section_title(section, directive->section, text, sizeof text),
                      directive->name);
    struct value *values = calloc(count, sizeof *values);
    if (values == NULL)
        return refuse(load, section->line, "out of memory");
    for (size_t i = 0; i < count; i++)
        values[i] = parse_value(section, directive, i);
    bool good =
        value_store(directive, values, count, load->directory, base, &line, text, sizeof text);
    free(values);
    return good || refuse(load, line, "%s", text);
}

/* Everything in the table for this section, into the struct at `base`. */
static bool fill(struct load *load, cfg_t *section, enum section kind, void *base)
{
    for (size_t i = 0; i < directive_count; i++)
        if (directives[i].section == kind && !fill_directive(load, section, &directives[i], base))
            return false;
    return true;
}

static bool fill_backends(struct load *load, cfg_t *root)
{
    struct config *config = load->config;
    size_t count = cfg_size(root, section_names[SECTION_BACKEND]);
    config->backends = calloc(count + 1, sizeof *config->backends);
    if (config->backends == NULL)
        return refuse(load, root->line, "out of memory");
    while (config->backend_count < count) {
        cfg_t *section =
            cfg_getnsec(root, section_names[SECTION_BACKEND], (unsigned)config->backend_count);
        struct backend_config *backend = &config->backends[config->backend_count++];
        backend->line = parse_section_line(section);
        backend->name = strdup(cfg_title(section));
        if (!fill(load, section, SECTION_BACKEND, backend))
            return false;
    }
    return true;
}

static bool find_backend(struct load *load, cfg_t *section, struct frontend_config *frontend)
{
    const struct directive *directive = directive_find(SECTION_FRONTEND, "backend");
    struct value name = parse_value(section, directive, 0);
    for (size_t i = 0; i < load->config->backend_count; i++)
        if (strcmp(load->config->backends[i].name, name.text) == 0) {
            frontend->backend = i;
            return true;
        }
    return refuse(load, name.line, "there is no backend '%s'", name.text);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* immured has each key file once: whoever uses it must say the same of it. */
static bool check_key(struct load *load, const struct certificate_config *certificate)
{
    const struct config *config = load->config;
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].certificate_count; j++) {
            const struct certificate_config *other = &config->frontends[i].certificates[j];
            if (same_text(other->key, certificate->key) &&
                (!same_text(other->policy, certificate->policy) ||
                 !same_text(other->pass_phrase_file, certificate->pass_phrase_file)))
                return refuse(load, certificate->line,
                              "key %s has another policy or pass-phrase-file in line %d",
                              certificate->key, other->line);
        }
    return true;
}

static bool fill_certificates(struct load *load, cfg_t *section, struct frontend_config *frontend)
{
    size_t count = cfg_size(section, section_names[SECTION_CERTIFICATE]);
    if (count == 0)
        return refuse(load, frontend->line, "frontend '%s' has no 'certificate'", frontend->name);
    frontend->certificates = calloc(count, sizeof *frontend->certificates);
    if (frontend->certificates == NULL)
        return refuse(load, frontend->line, "out of memory");
    while (frontend->certificate_count < count) {
        cfg_t *inner = cfg_getnsec(section, section_names[SECTION_CERTIFICATE],
                                   (unsigned)frontend->certificate_count);
        struct certificate_config *certificate =
            &frontend->certificates[frontend->certificate_count++];
        certificate->line = parse_section_line(inner);
        if (!fill(load, inner, SECTION_CERTIFICATE, certificate) || !check_key(load, certificate))
            return false;
    }
    return true;
}

/* Every listening address so far, this frontend's included, is another one. */
static bool check_addresses(struct load *load, const struct frontend_config *frontend)
{
    const struct config *config = load->config;
    for (size_t i = 0; i < frontend->listen_count; i++)
        for (const struct frontend_config *other = config->frontends; other <= frontend; other++)
            for (size_t j = 0; j < (other == frontend ? i : other->listen_count); j++)
                if (address_equal(&frontend->listen[i], &other->listen[j]))
                    return refuse(load, frontend->listen[i].line,
                                  "listen %s is used twice (first in line %d)",
                                  frontend->listen[i].text, other->listen[j].line);
    return true;
}

static bool fill_frontends(struct load *load, cfg_t *root)
{
    struct config *config = load->config;
    size_t count = cfg_size(root, section_names[SECTION_FRONTEND]);
    if (count == 0)
        return refuse(load, root->line, "there is no 'frontend'");
    config->frontends = calloc(count, sizeof *config->frontends);
    if (config->frontends == NULL)
        return refuse(load, root->line, "out of memory");
    while (config->frontend_count < count) {
        cfg_t *section =
            cfg_getnsec(root, section_names[SECTION_FRONTEND], (unsigned)config->frontend_count);
        struct frontend_config *frontend = &config->frontends[config->frontend_count++];
        frontend->line = parse_section_line(section);
        frontend->name = strdup(cfg_title(section));
        if (!fill(load, section, SECTION_FRONTEND, frontend) ||
            !find_backend(load, section, frontend) || !fill_certificates(load, section, frontend) ||
            !check_addresses(load, frontend))
            return false;
        if (frontend->tls_min > frontend->tls_max)
            return refuse(load, frontend->line, "frontend '%s': tls-min is higher than tls-max",
                          frontend->name);
    }
    return true;
}

/* The only section of its kind, or NULL; false if there are two. */
static bool single_section(struct load *load, cfg_t *root, enum section kind, cfg_t **section)
{
    unsigned count = cfg_size(root, section_names[kind]);
    *section = count == 0 ? NULL : cfg_getnsec(root, section_names[kind], count - 1);
    return count <= 1 || refuse(load, parse_section_line(*section), "there is a second '%s'",
                                section_names[kind]);
}

static bool fill_admin(struct load *load, cfg_t *root)
{
    struct config *config = load->config;
    cfg_t *section;
    if (!single_section(load, root, SECTION_ADMIN, &section))
        return false;
    if (section == NULL)
        return true;
    config->admin.enabled = true;
    if (!fill(load, section, SECTION_ADMIN, config))
        return false;
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].listen_count; j++)
            if (address_equal(&config->admin.listen, &config->frontends[i].listen[j]))
                return refuse(load, config->admin.listen.line,
                              "listen %s is used twice (first in line %d)",
                              config->admin.listen.text, config->frontends[i].listen[j].line);
    if (!address_is_local(&config->admin.listen))
        log_warning("%s:%d: the admin listener %s can be reached from other machines", config->file,
                    config->admin.listen.line, config->admin.listen.text);
    return true;
}

/* A socket of a running immured makes everything that would start our own meaningless. */
static bool fill_keys(struct load *load, cfg_t *root)
{
    struct config *config = load->config;
    cfg_t *section;
    if (!single_section(load, root, SECTION_KEYS, &section))
        return false;
    if (section == NULL)
        return true;
    if (!fill(load, section, SECTION_KEYS, config))
        return false;
    for (size_t i = 0; i < directive_count && config->keys.socket != NULL; i++) {
        if (directives[i].section != SECTION_KEYS || strcmp(directives[i].name, "socket") == 0 ||
            !parse_given(section, &directives[i]))
            continue;
        return refuse(load, parse_value(section, &directives[i], 0).line,
                      "'%s' is for an immured of our own; with 'socket' there is none",
                      directives[i].name);
    }
    return true;
}

/* What "auto" means: a thread for each CPU, within what the directive allows. */
static void set_by_cpus(unsigned *threads, enum section section, const char *name)
{
    const struct directive *directive = directive_find(section, name);
    cpu_set_t set;
    if (*threads == 0)
        *threads = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    if (*threads > directive->most)
        *threads = (unsigned)directive->most;
}

/* And of connections: as many as this process may have descriptors for. */
static void set_by_descriptors(struct config *config)
{
    uint64_t most = directive_find(SECTION_TOP, "max-connections")->most;
    uint64_t room = descriptors_connections(config->workers);
    if (config->max_connections == 0)
        config->max_connections = (unsigned)(room < most ? room : most);
}

static bool fill_all(struct load *load, cfg_t *root)
{
    struct config *config = load->config;
    if (!fill(load, root, SECTION_TOP, config) || !fill_backends(load, root) ||
        !fill_frontends(load, root) || !fill_admin(load, root) || !fill_keys(load, root))
        return false;
    set_by_cpus(&config->workers, SECTION_TOP, "workers");
    set_by_cpus(&config->keys.threads, SECTION_KEYS, "threads");
    set_by_descriptors(config);
    return true;
}

struct config *config_load(const char *file, struct config_error *error)
{
    cfg_t *root = parse_file(file, error);
    if (root == NULL)
        return NULL;
    char *copy = strdup(file);
    struct load load = {.config = calloc(1, sizeof *load.config), .error = error};
    bool good = copy != NULL && load.config != NULL && (load.config->file = strdup(file)) != NULL &&
                (load.directory = strdup(dirname(copy))) != NULL;
    if (good)
        good = fill_all(&load, root);
    else
        snprintf(error->text, sizeof error->text, "%s: out of memory", file);
    free(copy);
    free(load.directory);
    cfg_free(root);
    if (!good) {
        config_free(load.config);
        return NULL;
    }
    return load.config;
}

static void frontend_clear(struct frontend_config *frontend)
{
    for (size_t i = 0; i < frontend->certificate_count; i++) {
        struct certificate_config *certificate = &frontend->certificates[i];
        free(certificate->chain);
        free(certificate->key);
        free(certificate->pass_phrase_file);
        free(certificate->policy);
    }
    for (size_t i = 0; i < frontend->listen_count; i++)
        free(frontend->listen[i].text);
    free(frontend->name);
    free(frontend->listen);
    free(frontend->certificates);
    free(frontend->alpn);
    free(frontend->ciphers);
    free(frontend->ciphersuites);
    free(frontend->groups);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->frontend_count; i++)
        frontend_clear(&config->frontends[i]);
    for (size_t i = 0; i < config->backend_count; i++) {
        free(config->backends[i].name);
        free(config->backends[i].address.text);
    }
    free(config->frontends);
    free(config->backends);
    free(config->admin.listen.text);
    free(config->keys.socket);
    free(config->keys.program);
    free(config->keys.backend);
    free(config->keys.library);
    free(config->keys.ticket_secret_file);
    free(config->keys.user);
    free(config->user);
    free(config->file);
    free(config);
}

const char *signing_mode_name(enum signing_mode mode)
{
    static const char *const names[] = {
        [SIGNING_ASYNC] = "async", [SIGNING_SYNC] = "sync", [SIGNING_IN_PROCESS] = "in-process"};
    return names[mode];
}
