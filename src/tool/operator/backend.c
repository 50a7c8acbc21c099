/* immure backend list, enable, drain, disable and weight */
#include <stdio.h>

#include "operator/control.h"
#include "operator/terminal.h"

/* ---- list ---- */

static void put_row(const char *backend, const char *server, const char *state, const char *checks,
                    const char *operator, const char * weight, const char *addresses)
{
    char line[TERMINAL_LINE_SIZE];
    snprintf(line, sizeof line, "%-16s  %-28s  %-15s  %-7s  %-8s  %-9s  %s", backend, server, state,
             checks, operator, weight, addresses);
    terminal_put_line(line);
}

/* "5 (1)": the operator's, and that of the configuration. */
static void describe_weight(const struct json_object *object, char *text, size_t size)
{
    int weight = (int)json_read_number(object, "weight", 0);
    int configured = (int)json_read_number(object, "configured_weight", weight);
    if (weight == configured)
        snprintf(text, size, "%d", weight);
    else
        snprintf(text, size, "%d (%d)", weight, configured);
}

static void put_head(void)
{
    put_row("BACKEND", "SERVER", "STATE", "CHECKS", "OPERATOR", "WEIGHT", "ADDRESSES");
}

static void list_line(struct control_answer *answer, const struct json_object *object)
{
    (void)answer;
    char state[32], weight[32], addresses[2048];
    snprintf(state, sizeof state, "%s%s", json_read_text_or_dash(object, "state"),
             json_read_bool(object, "backup", false) ? ",backup" : "");
    describe_weight(object, weight, sizeof weight);
    json_read_joined(object, "addresses", "-", addresses, sizeof addresses);
    put_row(json_read_text_or_dash(object, "backend"), json_read_text_or_dash(object, "server"),
            state, json_read_text_or_dash(object, "checks"),
            json_read_text_or_dash(object, "operator"), weight, addresses);
}

enum exit_status backend_list_run(const struct tool_options *options)
{
    return control_print(options, "backends", options->operands[0], list_line, put_head);
}

/* ---- changes ---- */

static void changed_line(struct control_answer *answer, const struct json_object *object)
{
    (void)answer;
    char weight[32];
    describe_weight(object, weight, sizeof weight);
    print_line("%s: %s: %s, weight %s", json_read_text_or_dash(object, "backend"),
               json_read_text_or_dash(object, "server"), json_read_text_or_dash(object, "operator"),
               weight);
}

static enum exit_status change(const struct tool_options *options, const char *verb)
{
    struct control_answer answer = {.line = options->json ? NULL : changed_line,
                                    .raw = options->json};
    const char *const words[] = {verb, options->operands[0], options->operands[1],
                                 options->operands[2], NULL};
    enum exit_status status = control_ask_words(&answer, options->proxy, words, NULL, 0);
    if (status == EXIT_GOOD && !options->json && json_read_number(&answer.end, "enabled", 1) == 0)
        print_line("%s: no server is enabled: its clients are refused", options->operands[0]);
    control_free(&answer);
    return status;
}

enum exit_status backend_enable_run(const struct tool_options *options)
{
    return change(options, "enable");
}

enum exit_status backend_drain_run(const struct tool_options *options)
{
    return change(options, "drain");
}

enum exit_status backend_disable_run(const struct tool_options *options)
{
    return change(options, "disable");
}

enum exit_status backend_weight_run(const struct tool_options *options)
{
    return change(options, "weight");
}
