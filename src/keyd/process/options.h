/* The command line of immured. */
#ifndef KEYD_PROCESS_OPTIONS_H
#define KEYD_PROCESS_OPTIONS_H

#include <stdbool.h>

struct keyd_options {
    const char *config;
    bool test, explain;
    int text, hand_over, files, listener, session; /* inherited descriptors; -1: none */
};

/* Ends the program after options like --help, and after a mistake, which it has reported. */
void options_parse(struct keyd_options *options, int argc, char **argv);

#endif
