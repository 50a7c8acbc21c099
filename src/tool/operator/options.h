/* The command line of immure. */
#ifndef OPERATOR_OPTIONS_H
#define OPERATOR_OPTIONS_H

#include "operator/command.h"

/* False if there is nothing to run; the program then exits with *status. */
bool options_parse(int argc, char **argv, const struct command **command,
                   struct tool_options *options, enum exit_status *status);

#endif
