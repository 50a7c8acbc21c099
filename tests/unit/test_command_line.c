/* The command line: what its table of options takes, complains of and helps with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/command_line.h"

struct options {
    const char *config;
    bool test;
    int descriptor;
    double number;
};

static bool store_number(const struct option_row *row, const char *argument, void *field)
{
    *(double *)field = atof(argument);
    return *(double *)field >= row->least && *(double *)field <= row->most;
}

static const struct option_row rows[] = {
    {"config", "FILE", option_text, OPTION_FIELD(struct options, config), .required = true,
     .mark = 1, .text = "where"},
    {"test", NULL, option_flag, OPTION_FIELD(struct options, test), .mark = 2, .text = "whether"},
    {"descriptor-number", "N", option_descriptor, OPTION_FIELD(struct options, descriptor),
     .mark = 4, .text = "which"},
    {"number", "X", store_number, OPTION_FIELD(struct options, number), .least = 1, .most = 2,
     .text = "how many"},
};

static struct command_line line = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
static struct options options;

/* Words with one space between them. */
static enum command_line_result parse(const char *words)
{
    static char copy[256];
    char *argv[16] = {(char *)"program"}, *rest = copy;
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word; (word = strsep(&rest, " ")) != NULL && *words != '\0';)
        argv[argc++] = word;
    options = (struct options){.descriptor = -1};
    line.complaint[0] = '\0';
    enum command_line_result result = command_line_parse(&line, argc, argv, &options);
    if (result == COMMAND_LINE_GOOD)
        assert_true(line.word_count == 0 || line.words[0] != NULL);
    line.words = NULL; /* argv is gone */
    return result;
}

static void options_go_into_their_fields(void **state)
{
    (void)state;
    assert_int_equal(parse("a --test --config x b --descriptor-number=7 --number 1.5"),
                     COMMAND_LINE_GOOD);
    assert_string_equal(options.config, "x");
    assert_true(options.test);
    assert_int_equal(options.descriptor, 7);
    assert_true(options.number == 1.5);
    assert_int_equal(line.word_count, 2);
    assert_int_equal(line.given, 7);
    assert_int_equal(parse("--conf x"), COMMAND_LINE_GOOD);
    assert_false(options.test);
    assert_int_equal(line.given, 1);
    assert_int_equal(parse("--help"), COMMAND_LINE_HELP);
    assert_int_equal(parse("--version"), COMMAND_LINE_VERSION);
}

static void mistakes_are_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *words, *complaint;
    } cases[] = {
        {"", "--config FILE is needed; --help says more"},
        {"--config", "--config: its argument is missing"},
        {"--config=", "--config: \"\" is not a valid FILE"},
        {"--config x --test=1", "--test=1: there is no such option"},
        {"--config x --verbose", "--verbose: there is no such option"},
        {"--confg x", "--confg: there is no such option; did you mean '--config'?"},
        {"--cnofig=x", "--cnofig=x: there is no such option; did you mean '--config'?"},
        {"--config x -qv", "-q: there is no such option"},
        {"--config x --descriptor-number 2", "--descriptor-number: \"2\" is not a valid N"},
        {"--config x --number 3", "--number: \"3\" is not a valid X"},
        {"--config x --help --nonsense", "--nonsense: there is no such option"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(cases[i].words), COMMAND_LINE_WRONG);
        assert_string_equal(line.complaint, cases[i].complaint);
    }
}

static char *printed(unsigned marks)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    command_line_print(&line, marks, out);
    fclose(out);
    return text;
}

static void help_comes_from_the_table(void **state)
{
    (void)state;
    char *all = printed(0), *some = printed(2);
    assert_string_equal(all, "  --config FILE          where\n"
                             "  --test                 whether\n"
                             "  --descriptor-number N  which\n"
                             "  --number X             how many\n"
                             "  --help                 print this help\n");
    assert_string_equal(some, "  --test                 whether\n"
                              "  --help                 print this help\n");
    free(all);
    free(some);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_go_into_their_fields),
        cmocka_unit_test(mistakes_are_one_line),
        cmocka_unit_test(help_comes_from_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
