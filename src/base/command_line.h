/*
 * The command line of a program. The parser, its complaints and the help all come from one table,
 * in which each option is a row:
 *
 *     {"config", "FILE", option_text, OPTION_FIELD(struct options, config), .required = true,
 *      .text = "read the configuration from FILE"},
 *
 * Every program also has --help and --version. Options may be abbreviated, and they may follow
 * other words (getopt_long(3)).
 */
#ifndef BASE_COMMAND_LINE_H
#define BASE_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTION_FIELD(type, member) .offset = offsetof(type, member)

struct option_row {
    const char *name;     /* without its dashes */
    const char *argument; /* its name in the help and in complaints; NULL: there is none */
    /* Stores the argument, which is NULL if the option takes none. False: it is not valid. */
    bool (*store)(const struct option_row *row, const char *argument, void *field);
    size_t offset; /* of the field in the program's struct */
    bool required;
    double least, most;       /* the bounds of a number */
    unsigned mark;            /* a bit that the program chooses to recognize the option by */
    void (*print)(FILE *out); /* what option_print() of daemon/options.h prints */
    const char *text;         /* what the help says about it: one line */
};

/* How most options are stored. The field is of the type that is named beside each. */
bool option_flag(const struct option_row *row, const char *argument,
                 void *field); /* a bool, which becomes true */
bool option_text(const struct option_row *row, const char *argument,
                 void *field); /* a const char *, which leads into argv; not empty */
bool option_descriptor(const struct option_row *row, const char *argument,
                       void *field); /* an int: an inherited descriptor */

#define COMMAND_LINE_ROWS_MAX 64

struct command_line {
    const struct option_row *rows;
    size_t count;
    unsigned given;     /* the marks of the options that were given */
    char *const *words; /* the words that are not options, in their order; they belong to argv */
    int word_count;
    char complaint[256];
};

enum command_line_result {
    COMMAND_LINE_GOOD,
    COMMAND_LINE_HELP,    /* the user asks for the help */
    COMMAND_LINE_VERSION, /* the user asks for the version */
    COMMAND_LINE_WRONG    /* `complaint` says why: one line */
};

/* Parses the options by line->rows, and stores them in the struct at `options`. Moves the words of
 * argv that are not options to its end. */
enum command_line_result command_line_parse(struct command_line *line, int argc, char **argv,
                                            void *options);
/* Prints a line of help for each option that has one of these marks (0: for all options), and one
 * for --help. */
void command_line_print(const struct command_line *line, unsigned marks, FILE *out);

#endif
