/*
 * The command line of a program: a table of options, from which the parser, the complaints and the
 * help come. An option is one row:
 *
 *     {"config", "FILE", option_text, OPTION_FIELD(struct options, config), .required = true,
 *      .text = "read the configuration from FILE"},
 *
 * Every program has --help and --version besides. Options may be abbreviated, and may stand behind
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
    const char *argument; /* what help and complaints call it; NULL: it takes none */
    /* Stores the argument (NULL: it takes none). False: it is not a valid one. */
    bool (*store)(const struct option_row *row, const char *argument, void *field);
    size_t offset; /* of the field in the program's struct */
    bool required;
    double least, most; /* of a number */
    unsigned mark;      /* the program's own, to tell options apart; a bit */
    const char *text;   /* for the help, a line */
};

/* Those of most programs. */
bool option_flag(const struct option_row *row, const char *argument, void *field); /* bool */
bool option_text(const struct option_row *row, const char *argument,
                 void *field); /* const char *, of argv; not empty */
bool option_descriptor(const struct option_row *row, const char *argument,
                       void *field); /* int, an inherited descriptor */

#define COMMAND_LINE_ROWS_MAX 64

struct command_line {
    const struct option_row *rows;
    size_t count;
    unsigned given;     /* the marks of the options that are given */
    char *const *words; /* what is no option, in its order; argv's */
    int word_count;
    char complaint[256];
};

enum command_line_result {
    COMMAND_LINE_GOOD,
    COMMAND_LINE_HELP, /* asked for; or, the next, the version */
    COMMAND_LINE_VERSION,
    COMMAND_LINE_WRONG /* `complaint` says why: one line */
};

/* By line->rows, into the struct at `options`. Reorders argv. */
enum command_line_result command_line_parse(struct command_line *line, int argc, char **argv,
                                            void *options);
/* A line of help for each option that has one of these marks, or for all (0); and for --help. */
void command_line_print(const struct command_line *line, unsigned marks, FILE *out);

#endif
