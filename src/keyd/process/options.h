/* The command line of immured. */
#ifndef KEYD_PROCESS_OPTIONS_H
#define KEYD_PROCESS_OPTIONS_H

#include <stdbool.h>

struct keyd_options {
    const char *config;
    bool test, explain;
    int text, hand_over, files, listener, session; /* inherited descriptors; -1: none */
};

/* Ends the program for all options but those of a run, and after mistakes, which it has named. */
void options_parse(struct keyd_options *options, int argc, char **argv);

#endif
