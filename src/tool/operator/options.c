#include "operator/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/command_line.h"
#include "base/duration.h"
#include "immure/reference.h"
#include "operator/control.h"

#define TIMEOUT_DEFAULT "5s"
#define COUNT_MOST UINT64_C(1000000000)
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

static bool store_timeout(const struct option_row *row, const char *argument, void *field)
{
    (void)row;
    return duration_parse(argument, field) && *(uint64_t *)field > 0;
}

static bool store_name(const struct option_row *row, const char *argument, void *field)
{
    return option_text(row, argument, field) && argument[strspn(argument, NAME_CHARACTERS)] == '\0';
}

static bool store_count(const struct option_row *row, const char *argument, void *field)
{
    (void)row;
    errno = 0;
    uint64_t count = strtoull(argument, NULL, 10);
    *(uint64_t *)field = count;
    return argument[strspn(argument, "0123456789")] == '\0' && errno == 0 && count > 0 &&
           count <= COUNT_MOST;
}

static const struct option_row rows[] = {
    {"socket", "PATH", option_text, OPTION_FIELD(struct tool_options, socket),
     .mark = OPTION_SOCKET, .text = "immured's unix socket (" IMMURE_SOCKET_DEFAULT ")"},
    {"timeout", "TIME", store_timeout, OPTION_FIELD(struct tool_options, timeout),
     .mark = OPTION_TIMEOUT,
     .text = "how long to wait for immured, for instance 500ms (" TIMEOUT_DEFAULT ")"},
    {"json", NULL, option_flag, OPTION_FIELD(struct tool_options, json), .mark = OPTION_JSON,
     .text = "write JSON, one object per line"},
    {"certificate", "FILE", option_text, OPTION_FIELD(struct tool_options, certificate),
     .mark = OPTION_CERTIFICATE,
     .text = "file with the certificate or public key of the key, PEM or DER"},
    {"module", "PATH", option_text, OPTION_FIELD(struct tool_options, module),
     .mark = OPTION_MODULE, .text = "path of the provider (immure.so among libcrypto's modules)"},
    {"into", "FILE", option_text, OPTION_FIELD(struct tool_options, into), .mark = OPTION_INTO,
     .text = "print this configuration, extended by what it lacks"},
    {"name", "NAME", store_name, OPTION_FIELD(struct tool_options, name), .mark = OPTION_NAME,
     .text = "name that programs look for: nodejs_conf for node (openssl_conf)"},
    {"proxy", "SOCKET", option_text, OPTION_FIELD(struct tool_options, proxy), .mark = OPTION_PROXY,
     .text = "immure-proxy's control socket (" CONTROL_SOCKET_DEFAULT ")"},
    {"folder", "DIR", option_text, OPTION_FIELD(struct tool_options, folder), .mark = OPTION_FOLDER,
     .text = "which of immure-proxy's folders, if it has several"},
    {"as", "NAME", option_text, OPTION_FIELD(struct tool_options, as), .mark = OPTION_AS,
     .text = "name of the files, without an ending (the certificate's first name)"},
    {"count", "N", store_count, OPTION_FIELD(struct tool_options, count), .mark = OPTION_COUNT,
     .text = "end after N lines (1 unless standard output is a terminal)"},
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static void print_help(FILE *out)
{
    fputs("usage: immure COMMAND [OPTION]...\n\nKeys, key references and figures of immured, and "
          "the certificates and backends of immure-proxy.\n\n",
          out);
    for (size_t i = 0; i < command_count; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", commands[i].name, commands[i].operand ? " " : "",
                 commands[i].operand ? commands[i].operand : "");
        fprintf(out, "  %-36s  %s\n", left, commands[i].summary);
    }
    fputs("\n  immure COMMAND --help    what a command does, and its options\n"
          "  immure --version\n",
          out);
}

/* Prints the text in lines of at most 80 characters, broken at spaces. */
static void print_wrapped(FILE *out, const char *text)
{
    for (size_t column = 0; *text != '\0'; text += strspn(text, " ")) {
        size_t length = strcspn(text, " ");
        if (column > 0 && column + 1 + length > 80) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column > 0 ? " " : "", (int)length, text);
        text += length;
    }
    fputc('\n', out);
}

static void print_command_help(FILE *out, const struct command *command,
                               const struct command_line *line)
{
    fprintf(out, "usage: immure %s [OPTION]...%s%s\n\n", command->name, command->operand ? " " : "",
            command->operand ? command->operand : "");
    print_wrapped(out, command->text);
    fputc('\n', out);
    command_line_print(line, command->options, out);
}

/* Finds the command at the beginning of the words; its name consists of *used words. */
static const struct command *find_command(char *const *words, int count, int *used)
{
    for (size_t i = 0; i < command_count; i++) {
        const char *name = commands[i].name, *space = strchr(name, ' ');
        size_t first = space != NULL ? (size_t)(space - name) : strlen(name);
        *used = space != NULL ? 2 : 1;
        if (count >= *used && strlen(words[0]) == first && memcmp(words[0], name, first) == 0 &&
            (space == NULL || strcmp(words[1], space + 1) == 0))
            return &commands[i];
    }
    return NULL;
}

static void complain_of_command(char *const *words, int count)
{
    char list[512];
    size_t length = 0;
    bool family = false; /* the first word is the first word of a command's name */
    for (size_t i = 0; i < command_count; i++) {
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", i > 0 ? ", " : "",
                                   commands[i].name);
        family |= strncmp(commands[i].name, words[0], strlen(words[0])) == 0 &&
                  commands[i].name[strlen(words[0])] == ' ';
    }
    complain("there is no command \"%s%s%s\"; there are: %s", words[0],
             family && count > 1 ? " " : "", family && count > 1 ? words[1] : "", list);
}

/* The command's operands are words, of which the last ones may be optional. */
static bool take_operands(const struct command *command, char *const *words, int count,
                          struct tool_options *options)
{
    int taken = 0;
    const char *wanted = command->operand != NULL ? command->operand : "";
    while (*wanted != '\0') {
        size_t length = strcspn(wanted, " ");
        if (taken == count && wanted[0] != '[') {
            complain("%s: %.*s is missing", command->name, (int)length, wanted);
            return false;
        }
        if (taken < count) {
            options->operands[taken] = words[taken];
            taken++;
        }
        wanted += length + strspn(wanted + length, " ");
    }
    if (count > taken)
        complain("%s: unexpected operand \"%s\"", command->name, words[taken]);
    return count == taken;
}

static bool check_words(const struct command *command, char *const *words, int count,
                        unsigned given, struct tool_options *options)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (given & ~command->options & rows[i].mark) {
            complain("%s does not take --%s", command->name, rows[i].name);
            return false;
        }
    }
    return take_operands(command, words, count, options);
}

bool options_parse(int argc, char **argv, const struct command **command,
                   struct tool_options *options, enum exit_status *status)
{
    struct command_line line = {.rows = rows, .count = ROW_COUNT};
    int used = 0;
    *options =
        (struct tool_options){.socket = IMMURE_SOCKET_DEFAULT, .proxy = CONTROL_SOCKET_DEFAULT};
    duration_parse(TIMEOUT_DEFAULT, &options->timeout);
    *status = EXIT_USAGE;
    enum command_line_result result = command_line_parse(&line, argc, argv, options);
    if (result == COMMAND_LINE_WRONG) {
        complain("%s", line.complaint);
        return false;
    }
    if (result == COMMAND_LINE_VERSION) {
        puts("immure " IMMURE_VERSION);
        *status = EXIT_GOOD;
        return false;
    }
    bool wants_help = result == COMMAND_LINE_HELP;
    if (line.word_count == 0) {
        print_help(wants_help ? stdout : stderr);
        *status = wants_help ? EXIT_GOOD : EXIT_USAGE;
        return false;
    }
    *command = find_command(line.words, line.word_count, &used);
    if (*command == NULL) {
        complain_of_command(line.words, line.word_count);
        return false;
    }
    if (wants_help) {
        print_command_help(stdout, *command, &line);
        *status = EXIT_GOOD;
        return false;
    }
    return check_words(*command, line.words + used, line.word_count - used, line.given, options);
}
