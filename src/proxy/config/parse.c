#include "proxy/config/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_text.h"
#include "proxy/config/nesting.h"

/* libconfuse moves a section's own line on to where the section ends. It parses defaults where it
 * comes to a section, so this option, which nobody may give, keeps the line of its beginning. The
 * directives' defaults are not given to it: it opens a stream for each. */
#define SECTION_BEGIN "section-begin"
#define NOTHING_REPLACED (-1)
#define DIRECTIVES_MAX 32 /* of one section: subsections, SECTION_BEGIN and the end included */

/* libconfuse's callbacks have no argument of their own; it parses one file at a time. */
static struct {
    struct config_error *error;
    const char *file;
    int replaced_line; /* of what the value that comes next replaces */
} parsing;

static void error_at(int line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void error_at(int line, const char *format, ...)
{
    struct config_error *error = parsing.error;
    int length = snprintf(error->text, sizeof error->text, "%s:%d: ", parsing.file, line);
    va_list arguments;
    va_start(arguments, format);
    if (length > 0 && (size_t)length < sizeof error->text)
        vsnprintf(error->text + length, sizeof error->text - (size_t)length, format, arguments);
    va_end(arguments);
}

static enum section section_of(const char *name)
{
    enum section section = SECTION_TOP;
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (strcmp(section_names[i], name) == 0)
            section = (enum section)i;
    return section;
}

static void say_unknown(cfg_t *cfg, const char *name)
{
    char suggestion[128];
    enum section section = section_of(cfg->name);
    directive_suggest(section, name, suggestion, sizeof suggestion);
    error_at(cfg->line, "unknown directive '%s'%s%s%s", name, section == SECTION_TOP ? "" : " in ",
             section_names[section], suggestion);
}

/* libconfuse's own messages, in the words of this configuration. */
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
        return; /* what follows from the first error */
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

/* libconfuse drops what a value replaces before it has the value parsed. */
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
    struct value *value = malloc(sizeof *value);
    char *copy = strdup(text);
    if (value == NULL || copy == NULL) {
        free(value);
        free(copy);
        error_at(cfg->line, "out of memory");
        return -1;
    }
    *value = (struct value){.text = copy, .line = cfg->line};
    *(struct value **)result = value;
    return 0;
}

static void drop_value(void *arg)
{
    struct value *value = arg;
    if (value == NULL)
        return;
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

/* Writes a section's options from the table; returns how many. */
static size_t make_options(enum section section, cfg_opt_t *options)
{
    size_t count = 0;
    static char anything[] = "0";
    options[count++] = make_option(SECTION_BEGIN, CFGF_NONE, anything);
    for (size_t i = 0; i < directive_count; i++)
        if (directives[i].section == section)
            options[count++] =
                make_option(directives[i].name,
                            directive_is_list(&directives[i]) ? CFGF_LIST : CFGF_NONE, NULL);
    return count;
}

static cfg_t *make_parser(void)
{
    static const struct {
        enum section section, within;
        cfg_flag_t flags;
    } nesting[] = {
        /* The inner ones first. */
        {SECTION_CERTIFICATE, SECTION_FRONTEND, CFGF_MULTI},
        {SECTION_FRONTEND, SECTION_TOP, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES},
        {SECTION_BACKEND, SECTION_TOP, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES},
        {SECTION_ADMIN, SECTION_TOP, CFGF_MULTI},
        {SECTION_KEYS, SECTION_TOP, CFGF_MULTI},
    };
    cfg_opt_t options[SECTION_COUNT][DIRECTIVES_MAX] = {0};
    size_t counts[SECTION_COUNT];
    for (size_t i = 0; i < SECTION_COUNT; i++)
        counts[i] = make_options((enum section)i, options[i]);
    for (size_t i = 0; i < sizeof nesting / sizeof *nesting; i++)
        options[nesting[i].within][counts[nesting[i].within]++] = (cfg_opt_t)CFG_SEC(
            section_names[nesting[i].section], options[nesting[i].section], nesting[i].flags);
    return cfg_init(options[SECTION_TOP], CFGF_NONE);
}

static bool parse_text(cfg_t *cfg, const char *text)
{
    int line;
    const char *reason;
    if (!nesting_check(text, &line, &reason)) {
        error_at(line, "%s", reason);
        return false;
    }
    /* Nothing to parse is for cfg_parse_buf() an error. */
    if (text[0] != '\0' && cfg_parse_buf(cfg, text) != CFG_SUCCESS) {
        if (parsing.error->text[0] == '\0')
            error_at(cfg->line, "cannot be parsed");
        return false;
    }
    return true;
}

cfg_t *parse_file(const char *file, struct config_error *error)
{
    *error = (struct config_error){0};
    char *text = config_text_read(file);
    if (text == NULL) {
        snprintf(error->text, sizeof error->text, "%s: %s", file, strerror(errno));
        return NULL;
    }
    parsing.error = error;
    parsing.file = file;
    /* cfg_free() of an earlier tree dropped values too. */
    parsing.replaced_line = NOTHING_REPLACED;
    cfg_t *cfg = make_parser();
    bool good = false;
    if (cfg != NULL) {
        cfg->line = 1; /* stays so when there is no text */
        cfg_set_error_function(cfg, say_error);
        good = parse_text(cfg, text);
    }
    free(text);
    if (!good && cfg != NULL) {
        cfg_free(cfg);
        cfg = NULL;
    }
    return cfg;
}

size_t parse_count(cfg_t *section, const struct directive *directive)
{
    size_t given = cfg_size(section, directive->name);
    return given == 0 && directive->standard != NULL ? 1 : given;
}

bool parse_given(cfg_t *section, const struct directive *directive)
{
    return cfg_size(section, directive->name) > 0;
}

struct value parse_value(cfg_t *section, const struct directive *directive, size_t i)
{
    if (!parse_given(section, directive))
        return (struct value){.text = directive->standard, .line = parse_section_line(section)};
    return *(const struct value *)cfg_getnptr(section, directive->name, (unsigned)i);
}

int parse_section_line(cfg_t *section)
{
    return ((const struct value *)cfg_getptr(section, SECTION_BEGIN))->line;
}
