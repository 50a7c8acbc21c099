#include "operator/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "immure/reference.h"

#define TIMEOUT_DEFAULT "5s"
#define COUNT_MOST UINT64_C(1000000000)
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

static const struct rule {
    enum option_bit bit;
    const char *name, *argument; /* NULL: a flag */
    const char *text;
} rules[] = {
    {OPTION_SOCKET, "socket", "PATH", "immured's unix socket (" IMMURE_SOCKET_DEFAULT ")"},
    {OPTION_TIMEOUT, "timeout", "TIME",
     "how long to wait for immured, for instance 500ms (" TIMEOUT_DEFAULT ")"},
    {OPTION_JSON, "json", NULL, "write JSON, one object a line"},
    {OPTION_CERTIFICATE, "certificate", "FILE",
     "certificate or public key, PEM or DER, that the key belongs to"},
    {OPTION_MODULE, "module", "PATH", "path of the provider (immure.so where libcrypto looks)"},
    {OPTION_INTO, "into", "FILE", "print this configuration, and what it lacks"},
    {OPTION_NAME, "name", "NAME", "name to look for in it: nodejs_conf for node (openssl_conf)"},
    {OPTION_COUNT, "count", "N", "end after N lines (1 if standard output is no terminal)"},
};
#define RULE_COUNT (sizeof rules / sizeof rules[0])

static bool set(struct options *options, enum option_bit bit, const char *text)
{
    char *end;
    switch (bit) {
    case OPTION_SOCKET:
        options->socket = text;
        return *text != '\0';
    case OPTION_TIMEOUT:
        return duration_parse(text, &options->timeout) && options->timeout > 0;
    case OPTION_JSON:
        options->json = true;
        return true;
    case OPTION_CERTIFICATE:
        options->certificate = text;
        return *text != '\0';
    case OPTION_MODULE:
        options->module = text;
        return *text != '\0';
    case OPTION_INTO:
        options->into = text;
        return *text != '\0';
    case OPTION_NAME:
        options->name = text;
        return *text != '\0' && text[strspn(text, NAME_CHARACTERS)] == '\0';
    case OPTION_COUNT:
        errno = 0;
        options->count = strtoull(text, &end, 10);
        return text[strspn(text, "0123456789")] == '\0' && end != text && errno == 0 &&
               options->count > 0 && options->count <= COUNT_MOST;
    }
    return false;
}

static void print_option(FILE *out, const char *name, const char *argument, const char *text)
{
    char left[32];
    snprintf(left, sizeof left, "--%s%s%s", name, argument != NULL ? " " : "",
             argument != NULL ? argument : "");
    fprintf(out, "  %-18s  %s\n", left, text);
}

static void print_help(FILE *out)
{
    fputs("usage: immure COMMAND [OPTION]...\n\nKeys, key references and figures of immured.\n\n",
          out);
    for (size_t i = 0; i < command_count; i++) {
        char left[32];
        snprintf(left, sizeof left, "%s%s%s", commands[i].name, commands[i].operand ? " " : "",
                 commands[i].operand ? commands[i].operand : "");
        fprintf(out, "  %-20s  %s\n", left, commands[i].summary);
    }
    fputs("\n  immure COMMAND --help    what it does, and its options\n"
          "  immure --version\n",
          out);
}

/* Prints the text in lines of at most 80 characters. */
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

static void print_command_help(FILE *out, const struct command *command)
{
    fprintf(out, "usage: immure %s [OPTION]...%s%s\n\n", command->name, command->operand ? " " : "",
            command->operand ? command->operand : "");
    print_wrapped(out, command->text);
    fputc('\n', out);
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (command->options & rules[i].bit)
            print_option(out, rules[i].name, rules[i].argument, rules[i].text);
    print_option(out, "help", NULL, "print this");
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
    char list[256];
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

static void complain_of_option(int chosen, const char *argument)
{
    if (chosen == '?' && optopt > ' ') /* an unknown letter, perhaps in a group of letters */
        complain("-%c: there is no such option", optopt);
    else
        complain("%s: %s", argument,
                 chosen == ':' ? "its argument is missing" : "there is no such option");
}

/* getopt moves the options before the words. False: the error was reported. */
static bool parse_options(int argc, char **argv, struct options *options, unsigned *given,
                          int *special)
{
    enum { HELP = RULE_COUNT, VERSION };
    struct option table[RULE_COUNT + 3] = {[HELP] = {"help", no_argument, NULL, HELP},
                                           [VERSION] = {"version", no_argument, NULL, VERSION}};
    for (size_t i = 0; i < RULE_COUNT; i++)
        table[i] = (struct option){
            rules[i].name, rules[i].argument ? required_argument : no_argument, NULL, (int)i};
    opterr = 0;
    for (int chosen; (chosen = getopt_long(argc, argv, ":", table, NULL)) != -1;) {
        if (chosen == '?' || chosen == ':') {
            complain_of_option(chosen, argv[optind - 1]);
            return false;
        }
        if (chosen >= HELP) {
            *special = chosen == HELP ? 'h' : 'v';
        } else if (!set(options, rules[chosen].bit, optarg)) {
            complain("--%s: \"%s\" is not a valid %s", rules[chosen].name, optarg,
                     rules[chosen].argument);
            return false;
        } else {
            *given |= rules[chosen].bit;
        }
    }
    return true;
}

static bool check_words(const struct command *command, char *const *words, int count,
                        unsigned given, struct options *options)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (given & ~command->options & rules[i].bit) {
            complain("%s does not take --%s", command->name, rules[i].name);
            return false;
        }
    }
    options->operand = command->operand != NULL && count > 0 ? words[0] : NULL;
    if (count > (command->operand != NULL)) {
        complain("%s: unexpected operand \"%s\"", command->name, words[command->operand != NULL]);
        return false;
    }
    if (options->operand == NULL && command->operand != NULL && command->operand[0] != '[') {
        complain("%s: %s is missing", command->name, command->operand);
        return false;
    }
    return true;
}

bool options_parse(int argc, char **argv, const struct command **command, struct options *options,
                   enum exit_status *status)
{
    unsigned given = 0;
    int special = 0, used = 0;
    *options = (struct options){.socket = IMMURE_SOCKET_DEFAULT};
    duration_parse(TIMEOUT_DEFAULT, &options->timeout);
    *status = EXIT_USAGE;
    if (!parse_options(argc, argv, options, &given, &special))
        return false;
    char *const *words = argv + optind;
    int count = argc - optind;
    if (special == 'v' || (special == 'h' && count == 0)) {
        *status = EXIT_GOOD;
        if (special == 'v')
            puts("immure " IMMURE_VERSION);
        else
            print_help(stdout);
        return false;
    }
    if (count == 0) {
        print_help(stderr);
        return false;
    }
    *command = find_command(words, count, &used);
    if (*command == NULL) {
        complain_of_command(words, count);
        return false;
    }
    if (special == 'h') {
        *status = EXIT_GOOD;
        print_command_help(stdout, *command);
        return false;
    }
    return check_words(*command, words + used, count - used, given, options);
}
