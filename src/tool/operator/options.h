/* The command line of immure. */
#ifndef OPERATOR_OPTIONS_H
#define OPERATOR_OPTIONS_H

#include "operator/command.h"

/* False: there is nothing to run, and *status is what the program ends with. */
bool options_parse(int argc, char **argv, const struct command **command, struct options *options,
                   enum exit_status *status);

#endif
