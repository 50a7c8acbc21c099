#include "base/command_line.h"

#include <assert.h>
#include <getopt.h>
#include <string.h>

#include "base/descriptor.h"
#include "base/spelling.h"

/* getopt_long() returns this number for the first row, and the next ones for the other rows. All
 * are greater than any letter. */
#define FIRST_ROW 256
#define LEFT_SIZE 64 /* the left column of the help: "--name ARGUMENT" */

bool option_flag(const struct option_row *row, const char *argument, void *field)
{
    (void)row;
    (void)argument;
    *(bool *)field = true;
    return true;
}

bool option_text(const struct option_row *row, const char *argument, void *field)
{
    (void)row;
    *(const char **)field = argument;
    return argument[0] != '\0';
}

bool option_descriptor(const struct option_row *row, const char *argument, void *field)
{
    (void)row;
    *(int *)field = descriptor_parse(argument);
    return *(int *)field >= 0;
}

/* Returns the option that the user may have meant by `given`, such as "--confg" or "--confg=FILE";
 * NULL: none is similar. */
static const char *find_slip(const struct command_line *line, const char *given)
{
    char name[LEFT_SIZE];
    if (strncmp(given, "--", 2) != 0)
        return NULL;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given + 2, "="), given + 2);
    for (size_t i = 0; i < line->count; i++)
        if (spelling_is_slip(name, line->rows[i].name))
            return line->rows[i].name;
    return NULL;
}

/* Called when getopt_long() has returned ':' (an argument is missing) or '?' (an unknown option).
 */
static void complain(struct command_line *line, int chosen, const char *word)
{
    const char *slip = find_slip(line, word);
    if (chosen == ':')
        snprintf(line->complaint, sizeof line->complaint, "%s: its argument is missing", word);
    else if (optopt > ' ' && optopt < FIRST_ROW) /* one letter of the word */
        snprintf(line->complaint, sizeof line->complaint, "-%c: there is no such option", optopt);
    else
        snprintf(line->complaint, sizeof line->complaint, "%s: there is no such option%s%s%s", word,
                 slip != NULL ? "; did you mean '--" : "", slip != NULL ? slip : "",
                 slip != NULL ? "'?" : "");
}

static bool store(struct command_line *line, const struct option_row *row, void *options)
{
    if (row->store(row, optarg, (char *)options + row->offset))
        return true;
    snprintf(line->complaint, sizeof line->complaint, "--%s: \"%s\" is not a valid %s", row->name,
             optarg, row->argument);
    return false;
}

static bool has_required(struct command_line *line, uint64_t rows_given)
{
    for (size_t i = 0; i < line->count; i++)
        if (line->rows[i].required && (rows_given >> i & 1) == 0) {
            snprintf(line->complaint, sizeof line->complaint, "--%s %s is needed; --help says more",
                     line->rows[i].name, line->rows[i].argument);
            return false;
        }
    return true;
}

enum command_line_result command_line_parse(struct command_line *line, int argc, char **argv,
                                            void *options)
{
    struct option table[COMMAND_LINE_ROWS_MAX + 3] = {{0}};
    const int help = FIRST_ROW + (int)line->count, version = help + 1;
    enum command_line_result result = COMMAND_LINE_GOOD;
    uint64_t rows_given = 0;
    assert(line->count <= COMMAND_LINE_ROWS_MAX);
    for (size_t i = 0; i < line->count; i++)
        table[i] = (struct option){line->rows[i].name,
                                   line->rows[i].argument ? required_argument : no_argument, NULL,
                                   FIRST_ROW + (int)i};
    table[line->count] = (struct option){"help", no_argument, NULL, help};
    table[line->count + 1] = (struct option){"version", no_argument, NULL, version};
    opterr = 0;
    optind = 0;
    line->given = 0;
    for (int chosen; (chosen = getopt_long(argc, argv, ":", table, NULL)) != -1;) {
        if (chosen == help || chosen == version) {
            result = chosen == help ? COMMAND_LINE_HELP : COMMAND_LINE_VERSION;
        } else if (chosen < FIRST_ROW) {
            complain(line, chosen, argv[optind - 1]);
            return COMMAND_LINE_WRONG;
        } else {
            const struct option_row *row = &line->rows[chosen - FIRST_ROW];
            if (!store(line, row, options))
                return COMMAND_LINE_WRONG;
            line->given |= row->mark;
            rows_given |= UINT64_C(1) << (chosen - FIRST_ROW);
        }
    }
    line->words = argv + optind;
    line->word_count = argc - optind;
    if (result == COMMAND_LINE_GOOD && !has_required(line, rows_given))
        return COMMAND_LINE_WRONG;
    return result;
}

static size_t describe(const char *name, const char *argument, char left[LEFT_SIZE])
{
    int length = snprintf(left, LEFT_SIZE, "--%s%s%s", name, argument != NULL ? " " : "",
                          argument != NULL ? argument : "");
    return length > 0 ? (size_t)length : 0;
}

void command_line_print(const struct command_line *line, unsigned marks, FILE *out)
{
    char left[LEFT_SIZE];
    size_t width = 0;
    for (size_t i = 0; i < line->count; i++) {
        size_t length = describe(line->rows[i].name, line->rows[i].argument, left);
        width = length > width ? length : width;
    }
    for (size_t i = 0; i < line->count; i++) {
        if (marks != 0 && (line->rows[i].mark & marks) == 0)
            continue;
        describe(line->rows[i].name, line->rows[i].argument, left);
        fprintf(out, "  %-*s  %s\n", (int)width, left, line->rows[i].text);
    }
    fprintf(out, "  %-*s  %s\n", (int)width, "--help", "print this help");
}
