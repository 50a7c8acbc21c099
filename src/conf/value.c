#include "conf/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "conf/show.h"

bool conf_store_refuse(struct conf_store *store, int line, const char *format, ...)
{
    char reason[sizeof store->error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return conf_refuse(store->section, line, store->error, "%s", reason);
}

bool conf_store_refuse_memory(struct conf_store *store)
{
    return conf_store_refuse(store, store->values[0].line, "out of memory");
}

static bool is_duration(const struct conf_type *type)
{
    return type->unit == CONF_NS || type->unit == CONF_WHOLE_SECONDS;
}

bool conf_store_refuse_value(struct conf_store *store)
{
    char allowed[CONF_VALUES_SIZE];
    conf_describe_values(store->directive, allowed, sizeof allowed);
    const char *text = store->values[0].text;
    bool bare = is_duration(store->directive->type) && text[strspn(text, "0123456789")] == '\0';
    return conf_store_refuse(store, store->values[0].line, "%s must be %s, not '%s'%s",
                             store->directive->name, allowed, text,
                             bare ? "; it needs a unit: ms, s, m or h" : "");
}

/* The fields are unsigned numbers, enums, ints and bools. As none is ever negative, only their
 * width matters. */
static void set_number(struct conf_store *store, uint64_t number)
{
    switch (store->directive->size) {
    case sizeof(uint8_t):
        *(uint8_t *)store->field = (uint8_t)number;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)store->field = (uint32_t)number;
        break;
    default:
        *(uint64_t *)store->field = number;
        break;
    }
}

static const struct conf_choice *find_choice(const struct conf_store *store)
{
    for (const struct conf_choice *choice = store->directive->choices;
         choice != NULL && choice->name != NULL; choice++)
        if (strcmp(choice->name, store->values[0].text) == 0)
            return choice;
    return NULL;
}

static bool store_choice(struct conf_store *store)
{
    const struct conf_choice *choice = find_choice(store);
    if (choice == NULL)
        return conf_store_refuse_value(store);
    set_number(store, (uint64_t)choice->value);
    return true;
}

static bool store_number(struct conf_store *store)
{
    const char *text = store->values[0].text;
    if (find_choice(store) != NULL)
        return store_choice(store);
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
        number < store->directive->least || number > store->directive->most)
        return conf_store_refuse_value(store);
    set_number(store, number);
    return true;
}

static bool store_duration(struct conf_store *store)
{
    const struct conf_directive *directive = store->directive;
    uint64_t ns;
    if (find_choice(store) != NULL)
        return store_choice(store);
    if (!duration_parse(store->values[0].text, &ns) || ns < directive->least ||
        ns > directive->most || (directive->type == &conf_seconds && ns % NS_PER_S != 0))
        return conf_store_refuse_value(store);
    set_number(store, ns);
    return true;
}

bool conf_store_keep(struct conf_store *store, char *text)
{
    *(char **)store->field = text;
    return text != NULL || conf_store_refuse_memory(store);
}

static bool check_text(struct conf_store *store, size_t i)
{
    return store->values[i].text[0] != '\0' ||
           conf_store_refuse(store, store->values[i].line, "%s is empty", store->directive->name);
}

static bool store_text(struct conf_store *store)
{
    if (store->directive->choices != NULL && find_choice(store) == NULL)
        return conf_store_refuse_value(store);
    return check_text(store, 0) && conf_store_keep(store, strdup(store->values[0].text));
}

static bool store_texts(struct conf_store *store)
{
    char **texts = calloc(store->count, sizeof *texts);
    *(char ***)store->field = texts;
    if (texts == NULL)
        return conf_store_refuse_memory(store);
    for (size_t i = 0; i < store->count; i++) {
        if (!check_text(store, i))
            return false;
        texts[i] = strdup(store->values[i].text);
        if (texts[i] == NULL)
            return conf_store_refuse_memory(store);
        ++*store->list_count;
    }
    return true;
}

void conf_clear_text(void *field, size_t count)
{
    (void)count;
    free(*(char **)field);
    *(char **)field = NULL;
}

static void clear_texts(void *field, size_t count)
{
    char **texts = *(char ***)field;
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    conf_clear_text(field, 1);
}

const struct conf_type conf_number = {
    .unit = CONF_COUNT, .store = store_number, .show = conf_show_number};
const struct conf_type conf_duration = {
    .unit = CONF_NS, .store = store_duration, .show = conf_show_duration};
const struct conf_type conf_seconds = {
    .unit = CONF_WHOLE_SECONDS, .store = store_duration, .show = conf_show_duration};
const struct conf_type conf_choice = {.store = store_choice, .show = conf_show_choice};
const struct conf_type conf_text = {
    .values = "text", .store = store_text, .clear = conf_clear_text, .show = conf_show_text};
const struct conf_type conf_texts = {
    .values = "list of texts", .list = true, .store = store_texts, .clear = clear_texts};

/* The error names the section: "frontend 'www'", "certificate", or nothing for the top. */
static bool refuse_missing(const struct conf_section *section,
                           const struct conf_directive *directive, struct conf_error *error)
{
    const char *kind = section->grammar->sections[section->kind].name, *name = conf_name(section);
    const char *quote = name != NULL ? "'" : "";
    return conf_refuse(section, conf_line(section), error, "%s%s%s%s%s has no '%s'", kind,
                       name != NULL ? " " : "", quote, name != NULL ? name : "", quote,
                       directive->name);
}

static size_t *list_count(const struct conf_directive *directive, void *base)
{
    return (size_t *)(void *)((char *)base + directive->count_offset);
}

static bool fill_directive(const struct conf_section *section,
                           const struct conf_directive *directive, void *base, const void *context,
                           struct conf_error *error)
{
    size_t count = conf_value_count(section, directive);
    if (!conf_check_names(section, directive, error))
        return false;
    if (count == 0)
        return !directive->required || refuse_missing(section, directive, error);
    struct conf_value *values = calloc(count, sizeof *values);
    if (values == NULL)
        return conf_refuse(section, conf_line(section), error, "out of memory");
    for (size_t i = 0; i < count; i++)
        values[i] = conf_value_at(section, directive, i);
    struct conf_store store = {.section = section,
                               .directive = directive,
                               .values = values,
                               .count = count,
                               .field = (char *)base + directive->offset,
                               .list_count = list_count(directive, base),
                               .context = context,
                               .error = error};
    bool good = directive->type->store(&store);
    free(values);
    return good;
}

bool conf_fill(const struct conf_section *section, void *base, const void *context,
               struct conf_error *error)
{
    const struct conf_grammar *grammar = section->grammar;
    for (size_t i = 0; i < grammar->directive_count; i++) {
        const struct conf_directive *directive = &grammar->directives[i];
        if (directive->section == section->kind &&
            !fill_directive(section, directive, base, context, error))
            return false;
    }
    return true;
}

void conf_clear(const struct conf_grammar *grammar, unsigned kind, void *base)
{
    for (size_t i = 0; i < grammar->directive_count; i++) {
        const struct conf_directive *directive = &grammar->directives[i];
        if (directive->section != kind || directive->type->clear == NULL)
            continue;
        size_t *count = list_count(directive, base);
        directive->type->clear((char *)base + directive->offset,
                               directive->type->list ? *count : 1);
        if (directive->type->list)
            *count = 0;
    }
}
