/* immure certificate list, show and check */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "operator/certificate_text.h"
#include "operator/control.h"
#include "operator/terminal.h"

/* "www.example.com +2" */
static void describe_names(const struct json_object *object, char *text, size_t size)
{
    const struct json_member *names = json_read_list(object, "names");
    int64_t count = json_read_number(object, "name_count", 0);
    const char *first = names != NULL && names->item_count > 0 ? names->text : "-";
    if (count > 1)
        snprintf(text, size, "%s +%d", first, (int)count - 1);
    else
        snprintf(text, size, "%s", first);
}

static void put_row(const char *name, const char *type, const char *until, const char *problems,
                    const char *file)
{
    char line[TERMINAL_LINE_SIZE];
    snprintf(line, sizeof line, "%-32s  %-9s  %-10s  %-8s  %s", name, type, until, problems, file);
    terminal_put_line(line);
}

static void put_head(void)
{
    put_row("NAME", "TYPE", "UNTIL", "PROBLEMS", "FILE");
}

static void list_line(struct control_answer *answer, const struct json_object *object)
{
    (void)answer;
    char names[300], problems[128], until[CERTIFICATE_DATE_SIZE];
    describe_names(object, names, sizeof names);
    json_read_joined(object, "problems", "-", problems, sizeof problems);
    certificate_date(json_read_number(object, "not_after", 0), until);
    put_row(names, json_read_text_or_dash(object, "key_type"), until, problems,
            json_read_text_or_dash(object, "chain"));
}

enum exit_status certificate_list_run(const struct tool_options *options)
{
    return control_print(options, "list", options->operands[0], list_line, put_head);
}

/* ---- show ---- */

static void put_names(const struct json_object *object, const char *title)
{
    const struct json_member *names = json_read_list(object, "names");
    const char *name = names != NULL ? names->text : "";
    for (size_t i = 0; names != NULL && i < names->item_count; i++) {
        print_line("%-12s %s", i == 0 ? title : "", name);
        name += strlen(name) + 1;
    }
}

static void put_origin(const struct json_object *object)
{
    const char *route = json_read_text(object, "route");
    print_line("%-12s frontend \"%s\"%s%s%s", "served by",
               json_read_text_or_dash(object, "frontend"), route != NULL ? ", route \"" : "",
               route != NULL ? route : "", route != NULL ? "\"" : "");
    print_line("%-12s %s:%d (%s)", "from", json_read_text_or_dash(object, "where"),
               (int)json_read_number(object, "line", 0), json_read_text_or_dash(object, "source"));
}

static void show_line(struct control_answer *answer, const struct json_object *object)
{
    (void)answer;
    char problems[128], from[CERTIFICATE_DATE_SIZE], until[CERTIFICATE_DATE_SIZE];
    if (json_read_text(object, "chain") == NULL) { /* more names */
        put_names(object, "");
        return;
    }
    const char *staple = json_read_text(object, "ocsp");
    json_read_joined(object, "problems", "none", problems, sizeof problems);
    print_line("%-12s %s", "certificate", json_read_text_or_dash(object, "chain"));
    print_line("%-12s %s, %s, %s", "key", json_read_text_or_dash(object, "key"),
               json_read_text_or_dash(object, "key_type"),
               json_read_bool(object, "key_held", false) ? "held by immured"
                                                         : "perhaps not held by immured");
    print_line("%-12s %s", "key id", json_read_text_or_dash(object, "key_id"));
    print_line("%-12s %s to %s", "valid",
               certificate_date(json_read_number(object, "not_before", 0), from),
               certificate_date(json_read_number(object, "not_after", 0), until));
    put_origin(object);
    if (staple != NULL)
        print_line("%-12s %s, %s", "OCSP", staple,
                   json_read_bool(object, "stapled", false) ? "sent" : "not sent");
    print_line("%-12s %s", "problems", problems);
    put_names(object, "names");
}

enum exit_status certificate_show_run(const struct tool_options *options)
{
    return control_print(options, "show", options->operands[0], show_line, NULL);
}

/* ---- check ---- */

static void check_line(struct control_answer *answer, const struct json_object *object)
{
    (void)answer;
    char names[300];
    const char *change = json_read_text(object, "change");
    if (change != NULL) {
        describe_names(object, names, sizeof names);
        print_line("%-9s  %s  (%s)", change, json_read_text_or_dash(object, "chain"), names);
    } else if (json_read_text(object, "unusable") != NULL) {
        print_line("%-9s  %s; %s", "unusable", json_read_text_or_dash(object, "reason"),
                   json_read_bool(object, "kept", false) ? "the one before goes on"
                                                         : "it is not served");
    }
}

enum exit_status certificate_check_run(const struct tool_options *options)
{
    struct control_answer answer = {.line = options->json ? NULL : check_line,
                                    .raw = options->json};
    enum exit_status status = control_ask(&answer, options->proxy, "check", NULL, NULL, 0);
    const struct json_object *end = &answer.end;
    if (status == EXIT_GOOD && json_read_number(end, "unusable", 0) > 0)
        status = EXIT_FAILED;
    if (answer.last != NULL && status != EXIT_UNREACHABLE && !options->json &&
        json_read_number(end, "unusable", -1) >= 0)
        print_line(
            "%d would be added, %d replaced, %d removed; %d files cannot be used",
            (int)json_read_number(end, "added", 0), (int)json_read_number(end, "replaced", 0),
            (int)json_read_number(end, "removed", 0), (int)json_read_number(end, "unusable", 0));
    control_free(&answer);
    return status;
}
