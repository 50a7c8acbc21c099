#include "conf/grammar.h"

#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/spelling.h"
#include "conf/type.h"

bool conf_belongs(const struct conf_grammar *grammar, const struct conf_directive *directive,
                  unsigned section)
{
    return directive->section == section ||
           (directive->reach != CONF_HERE &&
            grammar->sections[directive->section].within == section);
}

const struct conf_directive *conf_find(const struct conf_grammar *grammar, unsigned section,
                                       const char *name)
{
    for (size_t i = 0; i < grammar->directive_count; i++) {
        const struct conf_directive *directive = &grammar->directives[i];
        if (directive->section == section && strcmp(directive->name, name) == 0)
            return directive;
    }
    return NULL;
}

static void say_place(const struct conf_grammar *grammar, const char *what, unsigned section,
                      const char *outside, char *text, size_t size)
{
    if (section == CONF_TOP)
        snprintf(text, size, "; %s belongs outside of all %s", what, outside);
    else
        snprintf(text, size, "; %s belongs in %s", what, grammar->sections[section].name);
}

static unsigned outermost(const struct conf_grammar *grammar,
                          const struct conf_directive *directive)
{
    return directive->reach == CONF_HERE ? directive->section
                                         : grammar->sections[directive->section].within;
}

void conf_suggest(const struct conf_grammar *grammar, unsigned section, const char *name,
                  char *text, size_t size)
{
    const struct conf_directive *directives = grammar->directives;
    const struct conf_kind *sections = grammar->sections;
    text[0] = '\0';
    for (size_t i = 0; i < grammar->directive_count && text[0] == '\0'; i++)
        if (conf_belongs(grammar, &directives[i], section) &&
            spelling_is_slip(name, directives[i].name))
            snprintf(text, size, "; did you mean '%s'?", directives[i].name);
    for (size_t i = CONF_TOP + 1; i < grammar->section_count && text[0] == '\0'; i++)
        if (strcmp(name, sections[i].name) == 0)
            say_place(grammar, "this section", sections[i].within, "others", text, size);
    for (size_t i = CONF_TOP + 1; i < grammar->section_count && text[0] == '\0'; i++)
        if (spelling_is_slip(name, sections[i].name))
            snprintf(text, size, "; did you mean '%s'?", sections[i].name);
    for (size_t i = 0; i < grammar->directive_count && text[0] == '\0'; i++)
        if (strcmp(name, directives[i].name) == 0)
            say_place(grammar, "it", outermost(grammar, &directives[i]), "sections", text, size);
}

void conf_describe_values(const struct conf_directive *directive, char *text, size_t size)
{
    const struct conf_type *type = directive->type;
    char least[DURATION_TEXT_SIZE], most[DURATION_TEXT_SIZE];
    size_t length = 0;
    text[0] = '\0';
    if (type->unit == CONF_COUNT)
        length = (size_t)snprintf(text, size, "%ju to %ju", (uintmax_t)directive->least,
                                  (uintmax_t)directive->most);
    else if (type->unit != CONF_UNBOUNDED)
        length =
            (size_t)snprintf(text, size, "%s to %s%s", duration_format(directive->least, least),
                             duration_format(directive->most, most),
                             type->unit == CONF_WHOLE_SECONDS ? ", whole seconds" : "");
    for (const struct conf_choice *choice = directive->choices;
         choice != NULL && choice->name != NULL && length < size; choice++) {
        const char *between = length == 0 ? "" : choice[1].name == NULL ? " or " : ", ";
        length += (size_t)snprintf(text + length, size - length, "%s%s", between, choice->name);
    }
    if (text[0] == '\0' && type->values != NULL)
        snprintf(text, size, "%s", type->values);
}
