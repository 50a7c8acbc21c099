#include "conf/tree.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/nesting.h"
#include "conf/type.h"

/* libconfuse sets the line of a section to where the section ends. But it parses the defaults of a
 * section when the section begins, so the default of this option, which no file may set, keeps that
 * line. libconfuse is not told the defaults of directives, because it would open a stream for each
 * of them. */
#define SECTION_BEGIN "section-begin"
#define NOTHING_REPLACED (-1)

/* The callbacks of libconfuse get no argument from us, so this is what they work on: the one file
 * that is being parsed. */
static struct {
    const struct conf_grammar *grammar;
    const char *file;
    struct conf_error *error;
    int replaced_line; /* the line of the value that the next one replaces */
} parsing;

static void write_error(struct conf_error *error, const char *file, int line, const char *format,
                        va_list arguments)
{
    int length = snprintf(error->text, sizeof error->text, "%s:%d: ", file, line);
    if (length > 0 && (size_t)length < sizeof error->text)
        vsnprintf(error->text + length, sizeof error->text - (size_t)length, format, arguments);
}

bool conf_refuse(const struct conf_section *section, int line, struct conf_error *error,
                 const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_error(error, section->file, line, format, arguments);
    va_end(arguments);
    return false;
}

static void error_at(int line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void error_at(int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_error(parsing.error, parsing.file, line, format, arguments);
    va_end(arguments);
}

static unsigned kind_of(const char *name)
{
    unsigned kind = CONF_TOP;
    for (unsigned i = CONF_TOP + 1; i < parsing.grammar->section_count; i++)
        if (strcmp(parsing.grammar->sections[i].name, name) == 0)
            kind = i;
    return kind;
}

static void say_unknown(cfg_t *cfg, const char *name)
{
    char suggestion[128];
    unsigned kind = kind_of(cfg->name);
    conf_suggest(parsing.grammar, kind, name, suggestion, sizeof suggestion);
    error_at(cfg->line, "unknown directive '%s'%s%s%s", name, kind == CONF_TOP ? "" : " in ",
             parsing.grammar->sections[kind].name, suggestion);
}

/* Puts the messages of libconfuse into the words of our configuration files. */
static void say_error(cfg_t *cfg, const char *format, va_list arguments)
{
    static const struct {
        const char *theirs, *ours;
    } texts[] = {
        {"missing equal sign after option '%s'", "'%s' needs '=' and a value"},
        {"missing title for section '%s'", "%s needs a name: NAME { ... }"},
        {"missing opening brace for section '%s'", "%s needs '{ ... }'"},
        {"found duplicate title '%s'", "the name '%s' is used twice"},
        {"attempt to append to non-list option '%s'", "'%s' takes one value, not a list"},
    };
    if (parsing.error->text[0] != '\0')
        return; /* only the first error is kept; this one follows from it */
    char text[256];
    if (strcmp(format, "no such option '%s'") == 0) {
        va_list copy;
        va_copy(copy, arguments);
        say_unknown(cfg, va_arg(copy, const char *));
        va_end(copy);
        return;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(format, texts[i].theirs) == 0)
            format = texts[i].ours;
    vsnprintf(text, sizeof text, format, arguments);
    error_at(cfg->line, "%s", text);
}

/* When a second value replaces one, libconfuse first frees the old value, which sets replaced_line,
 * and then calls this function with the new one. */
static int keep_value(cfg_t *cfg, cfg_opt_t *option, const char *text, void *result)
{
    if (parsing.replaced_line != NOTHING_REPLACED) {
        if (strcmp(option->name, SECTION_BEGIN) == 0)
            say_unknown(cfg, option->name);
        else
            error_at(cfg->line, "'%s' is given twice (first in line %d)", option->name,
                     parsing.replaced_line);
        return -1;
    }
    struct conf_value *value = malloc(sizeof *value);
    char *copy = strdup(text);
    if (value == NULL || copy == NULL) {
        free(value);
        free(copy);
        error_at(cfg->line, "out of memory");
        return -1;
    }
    *value = (struct conf_value){.text = copy, .line = cfg->line};
    *(struct conf_value **)result = value;
    return 0;
}

static void drop_value(void *arg)
{
    struct conf_value *value = arg;
    parsing.replaced_line = value->line;
    free((char *)value->text);
    free(value);
}

static cfg_opt_t make_option(const char *name, cfg_flag_t flags, char *parsed)
{
    return (cfg_opt_t){.name = name,
                       .type = CFGT_PTR,
                       .flags = flags,
                       .def.parsed = parsed,
                       .parsecb = keep_value,
                       .freecb = drop_value};
}

/* Writes the options for a section's directives. */
static void make_options(const struct conf_grammar *grammar, unsigned kind, cfg_opt_t *options)
{
    static char anything[] = "0";
    *options++ = make_option(SECTION_BEGIN, CFGF_NONE, anything);
    for (size_t i = 0; i < grammar->directive_count; i++) {
        const struct conf_directive *directive = &grammar->directives[i];
        cfg_flag_t flags = directive->type->list ? CFGF_LIST : CFGF_NONE;
        if (!conf_belongs(grammar, directive, kind))
            continue;
        *options++ = make_option(directive->name, flags, NULL);
        if (directive->former_name != NULL)
            *options++ = make_option(directive->former_name, flags, NULL);
    }
}

static void append_section(cfg_opt_t *options, const struct conf_kind *kind, cfg_opt_t *inner)
{
    cfg_flag_t flags = kind->named ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_MULTI;
    while (options->name != NULL)
        options++;
    *options = (cfg_opt_t)CFG_SEC(kind->name, inner, flags);
}

static cfg_t *make_parser(const struct conf_grammar *grammar)
{
    /* Every section has room for all directives under both names, for all sections, for
     * SECTION_BEGIN, and for an end with name NULL. */
    size_t room = 2 * grammar->directive_count + grammar->section_count + 2;
    cfg_opt_t *options = calloc(grammar->section_count * room, sizeof *options);
    if (options == NULL)
        return NULL;
    for (unsigned i = 0; i < grammar->section_count; i++)
        make_options(grammar, i, options + i * room);
    /* libconfuse copies options, so those of an inner section must be complete first. */
    for (size_t i = grammar->section_count - 1; i > CONF_TOP; i--) {
        const struct conf_kind *kind = &grammar->sections[i];
        append_section(options + kind->within * room, kind, options + i * room);
        if (kind->also_within != CONF_TOP)
            append_section(options + kind->also_within * room, kind, options + i * room);
    }
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    free(options);
    return cfg;
}

static bool parse_text(cfg_t *cfg, const char *text)
{
    int line;
    const char *reason;
    if (!nesting_check(text, parsing.grammar->environment, &line, &reason)) {
        error_at(line, "%s", reason);
        return false;
    }
    /* cfg_parse_buf() takes an empty text for an error. */
    if (text[0] != '\0' && cfg_parse_buf(cfg, text) != CFG_SUCCESS) {
        if (parsing.error->text[0] == '\0')
            error_at(cfg->line, "cannot be parsed");
        return false;
    }
    return true;
}

bool conf_parse(const struct conf_grammar *grammar, const char *file, const char *text,
                struct conf_section *top, struct conf_error *error)
{
    *error = (struct conf_error){0};
    if (text == NULL) {
        snprintf(error->text, sizeof error->text, "%s: %s", file, strerror(errno));
        return false;
    }
    parsing.grammar = grammar;
    parsing.file = file;
    parsing.error = error;
    /* When an earlier tree was freed, drop_value() was called, too. */
    parsing.replaced_line = NOTHING_REPLACED;
    cfg_t *cfg = make_parser(grammar);
    if (cfg == NULL) {
        snprintf(error->text, sizeof error->text, "%s: out of memory", file);
        return false;
    }
    cfg->line = 1; /* for an empty text, which is not parsed */
    cfg_set_error_function(cfg, say_error);
    *top = (struct conf_section){.grammar = grammar, .file = file, .kind = CONF_TOP, .node = cfg};
    if (parse_text(cfg, text))
        return true;
    conf_close(top);
    return false;
}

void conf_close(struct conf_section *top)
{
    cfg_free(top->node);
    top->node = NULL;
}

size_t conf_section_count(const struct conf_section *section, unsigned kind)
{
    return cfg_size(section->node, section->grammar->sections[kind].name);
}

struct conf_section conf_section_at(const struct conf_section *section, unsigned kind, size_t i)
{
    const char *name = section->grammar->sections[kind].name;
    return (struct conf_section){.grammar = section->grammar,
                                 .file = section->file,
                                 .kind = kind,
                                 .node = cfg_getnsec(section->node, name, (unsigned)i),
                                 .outer = section->node};
}

struct conf_section conf_section_own(const struct conf_section *section, unsigned kind)
{
    return (struct conf_section){
        .grammar = section->grammar, .file = section->file, .kind = kind, .outer = section->node};
}

static cfg_t *written_node(const struct conf_section *section)
{
    return section->node != NULL ? section->node : section->outer;
}

bool conf_section_single(const struct conf_section *section, unsigned kind, bool *found,
                         struct conf_section *single, struct conf_error *error)
{
    size_t count = conf_section_count(section, kind);
    *found = count > 0;
    if (count > 0)
        *single = conf_section_at(section, kind, count - 1);
    return count <= 1 || conf_refuse(single, conf_line(single), error, "there is a second '%s'",
                                     section->grammar->sections[kind].name);
}

int conf_line(const struct conf_section *section)
{
    return ((const struct conf_value *)cfg_getptr(written_node(section), SECTION_BEGIN))->line;
}

int conf_last_line(const struct conf_section *section)
{
    return written_node(section)->line;
}

const char *conf_name(const struct conf_section *section)
{
    return cfg_title(written_node(section));
}

/* Returns the name by which this part of the file gives a directive; NULL: it does not. */
static const char *name_given(cfg_t *node, const struct conf_directive *directive)
{
    if (directive->former_name != NULL && cfg_size(node, directive->former_name) > 0)
        return directive->former_name;
    return cfg_size(node, directive->name) > 0 ? directive->name : NULL;
}

/* Where the directive is given for this section, and by which of its names. NULL: nowhere. */
static cfg_t *find_given(const struct conf_section *section, const struct conf_directive *directive,
                         const char **name)
{
    enum conf_reach needed = section->node != NULL ? CONF_INHERITED : CONF_SHARED;
    *name = section->node != NULL ? name_given(section->node, directive) : NULL;
    if (*name != NULL)
        return section->node;
    *name = directive->reach >= needed ? name_given(section->outer, directive) : NULL;
    return *name != NULL ? section->outer : NULL;
}

bool conf_check_names(const struct conf_section *section, const struct conf_directive *directive,
                      struct conf_error *error)
{
    const char *name;
    cfg_t *node = find_given(section, directive, &name);
    if (node == NULL || name == directive->name || cfg_size(node, directive->name) == 0)
        return true;
    return conf_refuse(section, conf_value_at(section, directive, 0).line, error,
                       "'%s' is the former name of '%s', which is given too", name,
                       directive->name);
}

bool conf_given(const struct conf_section *section, const struct conf_directive *directive)
{
    const char *name;
    return find_given(section, directive, &name) != NULL;
}

size_t conf_value_count(const struct conf_section *section, const struct conf_directive *directive)
{
    const char *name;
    cfg_t *node = find_given(section, directive, &name);
    if (node == NULL)
        return directive->standard != NULL ? 1 : 0;
    return cfg_size(node, name);
}

struct conf_value conf_value_at(const struct conf_section *section,
                                const struct conf_directive *directive, size_t i)
{
    const char *name;
    cfg_t *node = find_given(section, directive, &name);
    if (node == NULL)
        return (struct conf_value){.text = directive->standard, .line = conf_line(section)};
    return *(const struct conf_value *)cfg_getnptr(node, name, (unsigned)i);
}
