#include "conf/document.h"

static void print_directive(FILE *out, const struct conf_directive *directive)
{
    char values[CONF_VALUES_SIZE];
    conf_describe_values(directive, values, sizeof values);
    fprintf(out, "| `%s` | %s | ", directive->name, values);
    if (directive->required)
        fprintf(out, "required");
    else if (directive->standard != NULL)
        fprintf(out, "`%s`", directive->standard);
    fprintf(out, " | %s", directive->text);
    if (directive->former_name != NULL)
        fprintf(out, " Its former name, `%s`, may still be used.", directive->former_name);
    fprintf(out, " |\n");
}

void conf_print(const struct conf_grammar *grammar, const char *level, FILE *out)
{
    for (unsigned i = 0; i < grammar->section_count; i++) {
        const struct conf_kind *kind = &grammar->sections[i];
        fprintf(out, "\n%s %s\n\n%s\n\n", level, i == CONF_TOP ? "Top" : kind->name,
                kind->introduction);
        fprintf(out, "| directive | values | default | meaning |\n|---|---|---|---|\n");
        for (size_t j = 0; j < grammar->directive_count; j++)
            if (grammar->directives[j].section == i)
                print_directive(out, &grammar->directives[j]);
    }
}
