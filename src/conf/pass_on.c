#include "conf/pass_on.h"

#include <string.h>

#include "conf/show.h"
#include "conf/value.h"

/* Escapes the only two characters that libconfuse interprets within single quotes. */
static void put_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text != '\0'; text++)
        fprintf(out, "%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
    fputc('\'', out);
}

void conf_write_directive(FILE *out, const char *name, const char *text)
{
    fprintf(out, "%s = ", name);
    put_quoted(out, text);
    fputc('\n', out);
}

void conf_write_section(FILE *out, const char *kind, const char *name)
{
    fprintf(out, "%s ", kind);
    put_quoted(out, name);
    fputs(" {\n", out);
}

/* Returns the first directive, from `directive` on, that is passed on; NULL: there is none. */
static const struct conf_directive *find_next(const struct conf_grammar *grammar, unsigned section,
                                              const struct conf_directive *directive)
{
    const struct conf_directive *end = grammar->directives + grammar->directive_count;
    while (directive < end && (directive->section != section || directive->passed_on_as == NULL))
        directive++;
    return directive < end ? directive : NULL;
}

void conf_pass_on(const struct conf_grammar *grammar, unsigned section, const void *base, FILE *out)
{
    char room[CONF_SHOW_SIZE];
    const struct conf_directive *directive = grammar->directives;
    while ((directive = find_next(grammar, section, directive)) != NULL) {
        const char *text = conf_show(directive, base, room);
        if (text != NULL)
            conf_write_directive(out, directive->passed_on_as, text);
        directive++;
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

const struct conf_directive *conf_pass_on_difference(const struct conf_grammar *grammar,
                                                     unsigned section, const void *one,
                                                     const void *other)
{
    char room[CONF_SHOW_SIZE], other_room[CONF_SHOW_SIZE];
    const struct conf_directive *directive = grammar->directives;
    while ((directive = find_next(grammar, section, directive)) != NULL &&
           same_text(conf_show(directive, one, room), conf_show(directive, other, other_room)))
        directive++;
    return directive;
}
