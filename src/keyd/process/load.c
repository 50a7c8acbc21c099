#include "keyd/process/load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/document.h"
#include "conf/value.h"
#include "keyd/process/directives.h"
#include "wire/limits.h"
#include "wire/stats.h"

struct keyd_load {
    struct keyd_config *config;
    const struct driver *const *drivers;
    struct conf_error *error;
};

/* The value of a directive; its text is NULL if the directive is not given. */
static struct conf_value value_of(const struct conf_section *section, const char *name)
{
    const struct conf_directive *directive = conf_find(&immured_grammar, section->kind, name);
    if (conf_value_count(section, directive) == 0)
        return (struct conf_value){.text = NULL, .line = conf_line(section)};
    return conf_value_at(section, directive, 0);
}

/* Sets the location for messages: the line of whichever of the two directives is given. */
static bool locate(const struct conf_section *section, const char *one, const char *other,
                   char **location)
{
    struct conf_value value = value_of(section, one);
    if (value.text == NULL)
        value = value_of(section, other);
    if (*location == NULL && asprintf(location, "%s:%d", section->file, value.line) < 0)
        *location = NULL;
    return *location != NULL;
}

/* Checks that the section has exactly one of two directives. */
static bool check_one_of(struct keyd_load *load, const struct conf_section *section,
                         const char *one, const char *other)
{
    const char *kind = immured_grammar.sections[section->kind].name;
    struct conf_value first = value_of(section, one), second = value_of(section, other);
    if (first.text == NULL && second.text == NULL)
        return conf_refuse(section, conf_line(section), load->error, "%s '%s' has no '%s' or '%s'",
                           kind, conf_name(section), one, other);
    if (first.text != NULL && second.text != NULL)
        return conf_refuse(section, second.line, load->error,
                           "%s '%s' has '%s' (line %d) and '%s': only one of them can be", kind,
                           conf_name(section), one, first.line, other);
    return true;
}

/* Checks that a driver "provider:NAME" has a section. */
static bool check_provider(struct keyd_load *load, const struct conf_section *section,
                           const char *driver)
{
    const struct keyd_config *config = load->config;
    const size_t length = strlen(PROVIDER_PREFIX);
    if (driver == NULL || strncmp(driver, PROVIDER_PREFIX, length) != 0)
        return true;
    for (size_t i = 0; i < config->provider_count; i++)
        if (config->providers[i].name != NULL && /* else memory was short, and that is the error */
            strcmp(config->providers[i].name, driver + length) == 0)
            return true;
    return conf_refuse(section, value_of(section, "backend").line, load->error,
                       "there is no provider '%s'", driver + length);
}

static bool fill_provider(struct keyd_load *load, const struct conf_section *section,
                          struct provider_config *provider)
{
    provider->name = strdup(conf_name(section));
    return conf_fill(section, provider, load->drivers, load->error) &&
           check_one_of(load, section, "module", "engine") &&
           ((locate(section, "module", "engine", &provider->location) && provider->name != NULL) ||
            conf_refuse(section, conf_line(section), load->error, "out of memory"));
}

static bool fill_providers(struct keyd_load *load, const struct conf_section *top)
{
    struct keyd_config *config = load->config;
    size_t count = conf_section_count(top, SECTION_PROVIDER);
    config->providers = calloc(count + 1, sizeof *config->providers);
    if (config->providers == NULL)
        return conf_refuse(top, conf_line(top), load->error, "out of memory");
    while (config->provider_count < count) {
        struct conf_section section =
            conf_section_at(top, SECTION_PROVIDER, config->provider_count);
        if (!fill_provider(load, &section, &config->providers[config->provider_count++]))
            return false;
    }
    return true;
}

static bool fill_key(struct keyd_load *load, const struct conf_section *section,
                     struct key_config *key)
{
    const char *name = conf_name(section);
    if (name[0] == '\0' || strlen(name) > WIRE_KEY_NAME_MAX)
        return conf_refuse(section, conf_line(section), load->error,
                           "the name of a key has 1 to %d bytes", WIRE_KEY_NAME_MAX);
    key->name = strdup(name);
    return conf_fill(section, key, load->drivers, load->error) &&
           check_one_of(load, section, "file", "uri") &&
           check_provider(load, section, key->driver) &&
           ((locate(section, "file", "uri", &key->location) && key->name != NULL) ||
            conf_refuse(section, conf_line(section), load->error, "out of memory"));
}

static bool fill_keys(struct keyd_load *load, const struct conf_section *top)
{
    struct keyd_config *config = load->config;
    size_t count = conf_section_count(top, SECTION_KEY);
    if (count == 0 && conf_section_count(top, SECTION_KEYS) == 0)
        return conf_refuse(top, conf_last_line(top), load->error, "there is no 'key'");
    config->keys = calloc(count + 1, sizeof *config->keys);
    if (config->keys == NULL)
        return conf_refuse(top, conf_line(top), load->error, "out of memory");
    while (config->key_count < count) {
        struct conf_section section = conf_section_at(top, SECTION_KEY, config->key_count);
        if (!fill_key(load, &section, &config->keys[config->key_count++]))
            return false;
    }
    return true;
}

/* A supervisor hands keys over with the name of their section before a space. */
static bool check_group_name(struct keyd_load *load, const struct conf_section *section)
{
    const char *name = conf_name(section);
    return (name[0] != '\0' && strlen(name) <= WIRE_KEY_NAME_MAX && strchr(name, ' ') == NULL) ||
           conf_refuse(section, conf_line(section), load->error,
                       "the name of a section 'keys' has 1 to %d bytes and no space",
                       WIRE_KEY_NAME_MAX);
}

static bool fill_group(struct keyd_load *load, const struct conf_section *section,
                       struct key_group_config *group)
{
    group->name = strdup(conf_name(section));
    if (!conf_fill(section, group, load->drivers, load->error) || !check_group_name(load, section))
        return false;
    if (group->location == NULL &&
        asprintf(&group->location, "%s:%d", section->file, conf_line(section)) < 0)
        group->location = NULL;
    return (group->name != NULL && group->location != NULL) ||
           conf_refuse(section, conf_line(section), load->error, "out of memory");
}

static bool fill_groups(struct keyd_load *load, const struct conf_section *top)
{
    struct compact_config *compact = &load->config->compact;
    size_t count = conf_section_count(top, SECTION_KEYS);
    if (count > KEY_GROUPS_MAX)
        return conf_refuse(top, conf_last_line(top), load->error,
                           "there are more than %d sections 'keys'", KEY_GROUPS_MAX);
    compact->groups = calloc(count + 1, sizeof *compact->groups);
    if (compact->groups == NULL)
        return conf_refuse(top, conf_line(top), load->error, "out of memory");
    while (compact->group_count < count) {
        struct conf_section section = conf_section_at(top, SECTION_KEYS, compact->group_count);
        if (!fill_group(load, &section, &compact->groups[compact->group_count++]))
            return false;
    }
    return true;
}

static bool fill_all(struct keyd_load *load, const struct conf_section *top)
{
    struct keyd_config *config = load->config;
    if (!conf_fill(top, config, load->drivers, load->error) || !fill_providers(load, top) ||
        !fill_keys(load, top) || !fill_groups(load, top) ||
        !check_provider(load, top, config->driver))
        return false;
    if (config->threads == 0)
        config->threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    return true;
}

bool config_load(struct keyd_config *config, const char *file, const char *text,
                 const struct driver *const *drivers, struct conf_error *error)
{
    struct conf_section top;
    struct keyd_load load = {.config = config, .drivers = drivers, .error = error};
    *config = (struct keyd_config){0};
    bool good = conf_parse(&immured_grammar, file, text, &top, error);
    if (good) {
        good = fill_all(&load, &top);
        conf_close(&top);
    }
    if (!good)
        config_free(config);
    return good;
}

static bool name_files(unsigned section, const void *target, struct name_table *names)
{
    for (size_t i = 0; i < immured_grammar.directive_count; i++) {
        const struct conf_directive *directive = &immured_grammar.directives[i];
        if (directive->section != section)
            continue;
        const char *file = directive_file(directive, target);
        if (file != NULL && !name_table_add(names, file, NULL))
            return false;
    }
    return true;
}

bool config_name_files(const struct keyd_config *config, struct name_table *names)
{
    bool good = name_files(SECTION_TOP, config, names);
    for (size_t i = 0; good && i < config->key_count; i++)
        good = name_files(SECTION_KEY, &config->keys[i], names);
    for (size_t i = 0; good && i < config->compact.group_count; i++)
        good = name_files(SECTION_KEYS, &config->compact.groups[i], names);
    for (size_t i = 0; good && i < config->provider_count; i++)
        good = name_files(SECTION_PROVIDER, &config->providers[i], names);
    return good;
}

const void *config_settings(const struct keyd_config *config, const struct driver *driver)
{
    static const struct {
        enum wire_backend backend;
        size_t offset;
    } settings[] = {{WIRE_BACKEND_MULTIBUFFER, offsetof(struct keyd_config, multibuffer)}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (settings[i].backend == driver->number)
            return (const char *)config + settings[i].offset;
    return NULL;
}

void config_free(struct keyd_config *config)
{
    for (size_t i = 0; i < config->key_count; i++) {
        conf_clear(&immured_grammar, SECTION_KEY, &config->keys[i]);
        free(config->keys[i].name);
    }
    for (size_t i = 0; i < config->compact.group_count; i++) {
        conf_clear(&immured_grammar, SECTION_KEYS, &config->compact.groups[i]);
        free(config->compact.groups[i].name);
    }
    for (size_t i = 0; i < config->provider_count; i++) {
        conf_clear(&immured_grammar, SECTION_PROVIDER, &config->providers[i]);
        free(config->providers[i].location);
        free(config->providers[i].name);
    }
    conf_clear(&immured_grammar, SECTION_TOP, config);
    free(config->keys);
    free(config->compact.groups);
    free(config->providers);
    *config = (struct keyd_config){0};
}

void config_print_directives(FILE *out)
{
    conf_print(&immured_grammar, "###", out);
}
