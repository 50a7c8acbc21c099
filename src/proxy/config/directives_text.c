/* The table of directives as documentation. */
#include "proxy/config/config.h"
#include "proxy/config/directives.h"

static const char *const introductions[SECTION_COUNT] = {
    [SECTION_TOP] = "Outside of all sections.",
    [SECTION_FRONTEND] = "`frontend \"NAME\" { ... }`, one or more: where clients connect.",
    [SECTION_CERTIFICATE] =
        ("`certificate { ... }` within a frontend, one or more. The client's server name (SNI) and "
         "what it can verify choose between them; the first is for clients that name none of "
         "them."),
    [SECTION_BACKEND] = "`backend \"NAME\" { ... }`: where the decrypted bytes go.",
    [SECTION_ADMIN] = "`admin { ... }`, at most one.",
    [SECTION_KEYS] = "`keys { ... }`, at most one: the process that holds the private keys.",
};

static const char *const type_texts[] = {
    [TYPE_NUMBER] = "",
    [TYPE_DURATION] = "",
    [TYPE_CHOICE] = "",
    [TYPE_TEXT] = "text",
    [TYPE_PATH] = "path",
    [TYPE_FILE] = "file",
    [TYPE_BACKEND] = "name",
    [TYPE_ADDRESS] = "address",
    [TYPE_LISTEN] = "address",
    [TYPE_LISTEN_LIST] = "list of addresses",
    [TYPE_ALPN_LIST] = "list of names",
};

static void print_directive(FILE *out, const struct directive *directive)
{
    char values[128];
    directive_describe_values(directive, values, sizeof values);
    fprintf(out, "| `%s` | %s | ", directive->name,
            values[0] == '\0' ? type_texts[directive->type] : values);
    if (directive->required)
        fprintf(out, "required");
    else if (directive->standard != NULL)
        fprintf(out, "`%s`", directive->standard);
    fprintf(out, " | %s |\n", directive->text);
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
    for (size_t section = 0; section < SECTION_COUNT; section++) {
        fprintf(out, "\n## %s\n\n%s\n\n", section == SECTION_TOP ? "Top" : section_names[section],
                introductions[section]);
        fprintf(out, "| directive | values | default | meaning |\n|---|---|---|---|\n");
        for (size_t i = 0; i < directive_count; i++)
            if (directives[i].section == section)
                print_directive(out, &directives[i]);
    }
}
