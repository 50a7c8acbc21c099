#include "keyd/config.h"

#include <confuse.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "keyd/backend/provider.h"
#include "keyd/directives.h"
#include "wire/limits.h"

/* libconfuse's call-backs take no argument of ours, so this is where they find it. */
static struct loader {
    struct config *config;
    struct key_config key;           /* the section that is being read */
    struct provider_config provider; /* the same */
    const struct backend *const *backends;
    const char *file;
    unsigned line; /* of the directive that says what the section is about */
    bool reported; /* a mistake, with its line */
} loader;

static enum section section_of(const char *name)
{
    return strcmp(name, "key") == 0        ? SECTION_KEY
           : strcmp(name, "provider") == 0 ? SECTION_PROVIDER
                                           : SECTION_ALL;
}

static void *target_of(enum section section)
{
    return section == SECTION_KEY        ? (void *)&loader.key
           : section == SECTION_PROVIDER ? (void *)&loader.provider
                                         : (void *)loader.config;
}

/* Whether there is the provider section that is named shows when all has been read. */
static bool backend_known(const char *name)
{
    bool known =
        strcmp(name, "auto") == 0 || strncmp(name, PROVIDER_PREFIX, strlen(PROVIDER_PREFIX)) == 0;
    for (size_t i = 0; loader.backends[i] != NULL; i++)
        known |= strcmp(loader.backends[i]->name, name) == 0;
    return known;
}

/* Messages about a section name the line of this one. */
static bool says_what(const char *name)
{
    static const char *const names[] = {"file", "uri", "module", "engine"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Called once an element with all there are so far, or more often. */
static bool set_list(const struct directive *directive, void *target, cfg_opt_t *option)
{
    for (unsigned i = 0; i < cfg_opt_size(option); i++)
        if (!directive_add(directive, target, i, cfg_opt_getnstr(option, i)))
            return false;
    return true;
}

static bool set_value(const struct directive *directive, void *target, const char *text)
{
    return (!directive_names_backend(directive) || backend_known(text)) &&
           directive_set(directive, target, text);
}

/* libconfuse has read a value (the last, if it is one of a list). */
static int check_value(cfg_t *cfg, cfg_opt_t *option)
{
    enum section section = section_of(cfg_name(cfg));
    const struct directive *directive = directive_find(section, cfg_opt_name(option));
    void *target = target_of(section);
    const char *text = cfg_opt_getnstr(option, 0);
    if (says_what(directive->name))
        loader.line = (unsigned)cfg->line;
    if (directive_is_list(directive) ? set_list(directive, target, option)
                                     : set_value(directive, target, text))
        return 0;
    cfg_error(cfg, "%s: \"%s\" was given, expected: %s", directive->name, text,
              directive->type->name);
    return -1;
}

static void free_key(struct key_config *key)
{
    directives_free(SECTION_KEY, key);
    free(key->name);
}

static void free_provider(struct provider_config *provider)
{
    directives_free(SECTION_PROVIDER, provider);
    free(provider->location);
    free(provider->name);
}

static bool locate(char **location)
{
    return *location != NULL || asprintf(location, "%s:%u", loader.file, loader.line) >= 0;
}

static const char *title_of(cfg_opt_t *option)
{
    return cfg_title(cfg_opt_getnsec(option, cfg_opt_size(option) - 1));
}

/* libconfuse has read a whole key section. */
static int check_key(cfg_t *cfg, cfg_opt_t *option)
{
    struct config *config = loader.config;
    struct key_config *key = &loader.key;
    const char *name = title_of(option);
    if (key->file == NULL && key->uri == NULL) {
        cfg_error(cfg, "key \"%s\": file is missing", name);
        return -1;
    }
    if (key->file != NULL && key->uri != NULL) {
        cfg_error(cfg, "key \"%s\": it has a file, or a uri, not both", name);
        return -1;
    }
    if (strlen(name) > WIRE_KEY_NAME_MAX) {
        cfg_error(cfg, "key: its name is longer than %d bytes", WIRE_KEY_NAME_MAX);
        return -1;
    }
    size_t size = (config->key_count + 1) * sizeof *config->keys;
    struct key_config *keys = realloc(config->keys, size);
    key->name = strdup(name);
    if (keys != NULL)
        config->keys = keys;
    if (keys == NULL || key->name == NULL || !locate(&key->location)) {
        cfg_error(cfg, "out of memory");
        return -1;
    }
    keys[config->key_count++] = *key;
    *key = (struct key_config){0};
    directives_set_standards(SECTION_KEY, key);
    return 0;
}

/* The same for a provider section. */
static int check_provider(cfg_t *cfg, cfg_opt_t *option)
{
    struct config *config = loader.config;
    struct provider_config *provider = &loader.provider;
    const char *name = title_of(option);
    if ((provider->module == NULL) == (provider->engine == NULL)) {
        cfg_error(cfg, "provider \"%s\": it is a module, or an engine", name);
        return -1;
    }
    size_t size = (config->provider_count + 1) * sizeof *config->providers;
    struct provider_config *providers = realloc(config->providers, size);
    provider->name = strdup(name);
    if (providers != NULL)
        config->providers = providers;
    if (providers == NULL || provider->name == NULL || !locate(&provider->location)) {
        cfg_error(cfg, "out of memory");
        return -1;
    }
    providers[config->provider_count++] = *provider;
    *provider = (struct provider_config){0};
    directives_set_standards(SECTION_PROVIDER, provider);
    return 0;
}

static void report_unknown(cfg_t *cfg, const char *name)
{
    const struct directive *meant = directive_guess(section_of(cfg_name(cfg)), name);
    if (meant != NULL)
        log_error("%s:%d: unknown directive '%s'; did you mean '%s'?", loader.file, cfg->line, name,
                  meant->name);
    else
        log_error("%s:%d: unknown directive '%s'", loader.file, cfg->line, name);
}

static void report(cfg_t *cfg, const char *format, va_list arguments)
{
    char text[512];
    loader.reported = true;
    if (strcmp(format, "no such option '%s'") == 0) {
        report_unknown(cfg, va_arg(arguments, const char *));
        return;
    }
    vsnprintf(text, sizeof text, format, arguments);
    log_error("%s:%d: %s", loader.file, cfg->line, text);
}

/* libconfuse's table, from ours. */
static cfg_opt_t *make_options(enum section section, cfg_opt_t *options)
{
    size_t count = 0;
    for (size_t i = 0; i < directive_count; i++) {
        if (directives[i].section != section)
            continue;
        cfg_opt_t text = CFG_STR(directives[i].name, NULL, CFGF_NODEFAULT);
        cfg_opt_t list = CFG_STR_LIST(directives[i].name, NULL, CFGF_NODEFAULT);
        options[count] = directive_is_list(&directives[i]) ? list : text;
        options[count++].validcb = check_value;
    }
    options[count] = (cfg_opt_t)CFG_END();
    return options;
}

static bool parse(const char *text)
{
    const cfg_flag_t flags = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
    cfg_opt_t in_key[directive_count + 1], in_provider[directive_count + 1];
    cfg_opt_t options[directive_count + 3];
    cfg_opt_t keys = CFG_SEC("key", make_options(SECTION_KEY, in_key), flags);
    cfg_opt_t providers = CFG_SEC("provider", make_options(SECTION_PROVIDER, in_provider), flags);
    options[0] = keys;
    options[0].validcb = check_key;
    options[1] = providers;
    options[1].validcb = check_provider;
    make_options(SECTION_ALL, options + 2);
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    if (cfg == NULL) {
        log_error("%s: out of memory", loader.file);
        return false;
    }
    cfg_set_error_function(cfg, report);
    /* it takes an empty text for an error */
    bool good = *text == '\0' || cfg_parse_buf(cfg, text) == CFG_SUCCESS;
    if (!good && !loader.reported) /* libconfuse has no words for a directive without a name */
        log_error("%s:%d: cannot be parsed", loader.file, cfg->line);
    cfg_free(cfg);
    return good;
}

static bool provider_known(const struct config *config, const char *backend)
{
    if (backend == NULL || strncmp(backend, PROVIDER_PREFIX, strlen(PROVIDER_PREFIX)) != 0)
        return true;
    for (size_t i = 0; i < config->provider_count; i++)
        if (strcmp(config->providers[i].name, backend + strlen(PROVIDER_PREFIX)) == 0)
            return true;
    return false;
}

/* What only shows when all has been read. */
static bool check_all(const struct config *config, const char *file)
{
    if (config->key_count == 0) {
        log_error("%s: no key is configured", file);
        return false;
    }
    if (!provider_known(config, config->backend)) {
        log_error("%s: backend = %s: there is no such provider section", file, config->backend);
        return false;
    }
    for (size_t i = 0; i < config->key_count; i++) {
        const struct key_config *key = &config->keys[i];
        if (provider_known(config, key->backend))
            continue;
        log_error("%s: key \"%s\": backend = %s: there is no such provider section", key->location,
                  key->name, key->backend);
        return false;
    }
    return true;
}

bool config_load(struct config *config, const char *file, const char *text,
                 const struct backend *const *backends)
{
    *config = (struct config){0};
    if (text == NULL) {
        log_error("%s: %s", file, strerror(errno));
        return false;
    }
    loader = (struct loader){.config = config, .backends = backends, .file = file};
    directives_set_standards(SECTION_ALL, config);
    directives_set_standards(SECTION_KEY, &loader.key);
    directives_set_standards(SECTION_PROVIDER, &loader.provider);
    bool good = parse(text) && check_all(config, file);
    free_key(&loader.key);
    free_provider(&loader.provider);
    if (config->threads == 0)
        config->threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (!good)
        config_free(config);
    return good;
}

bool config_open_files(const struct config *config, struct file_table *files)
{
    bool good = directives_open_files(SECTION_ALL, config, files);
    for (size_t i = 0; good && i < config->key_count; i++)
        good = directives_open_files(SECTION_KEY, &config->keys[i], files);
    for (size_t i = 0; good && i < config->provider_count; i++)
        good = directives_open_files(SECTION_PROVIDER, &config->providers[i], files);
    if (!good)
        log_error("out of memory");
    return good;
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->key_count; i++)
        free_key(&config->keys[i]);
    for (size_t i = 0; i < config->provider_count; i++)
        free_provider(&config->providers[i]);
    free(config->keys);
    free(config->providers);
    directives_free(SECTION_ALL, config);
    *config = (struct config){0};
}

void config_print_directives(FILE *out)
{
    static const char *const within[] = {
        [SECTION_ALL] = "", [SECTION_KEY] = "`key` ", [SECTION_PROVIDER] = "`provider` "};
    fprintf(out, "| directive | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < directive_count; i++) {
        const struct directive *row = &directives[i];
        const char *quote = row->standard != NULL ? "`" : "";
        fprintf(out, "| %s`%s` | %s | %s%s%s | %s |\n", within[row->section], row->name,
                row->type->name, quote, row->standard != NULL ? row->standard : "", quote,
                row->text);
    }
}
