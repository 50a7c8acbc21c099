/* The command line of a daemon, which takes options and nothing else. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "base/command_line.h"

struct daemon_program {
    const char *name;
    const char *version; /* one line */
    const char *usage;   /* the part of the help before the options */
    const struct option_row *rows;
    size_t count;
};

/* Parses the command line into the struct at `options`. Ends the program after --help and
 * --version, which it answers, and after a mistake, which it reports in one line. */
void daemon_options_parse(const struct daemon_program *program, int argc, char **argv,
                          void *options);

/* The type of an option that makes the program print something, and end. */
bool option_print(const struct option_row *row, const char *argument, void *field);

#endif
