/* The command line of a daemon, which takes options and nothing else. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "base/command_line.h"

struct daemon_program {
    const char *name;
    const char *version; /* a line */
    const char *usage;   /* the help, up to the options */
    const struct option_row *rows;
    size_t count;
};

/* Into the struct at `options`. Ends the program for --help and --version, which it answers, and
 * after mistakes, which it names in one line. */
void daemon_options_parse(const struct daemon_program *program, int argc, char **argv,
                          void *options);

#endif
