/* What an openssl.cnf lacks to load the provider, with all that it says left in force. */
#ifndef OPERATOR_CONFIG_MERGE_H
#define OPERATOR_CONFIG_MERGE_H

#include <stddef.h>

#define CONFIG_PROBLEM_SIZE 512

struct config_merge {
    const char *file;   /* what `text` was read from, for problems */
    const char *text;   /* the configuration so far; empty: there is none */
    size_t length;      /* of the text */
    const char *name;   /* by which the program looks for its section, as "openssl_conf" */
    const char *module; /* path of the provider */
    char problem[CONFIG_PROBLEM_SIZE]; /* one line, after something has failed */
};

/*
 * What is to be added to the end of the text, to be freed; empty, if it loads the provider already.
 * Sections of the same name are one section, and the last value of a name holds, so nothing in the
 * text need be changed. NULL: `problem` says why.
 */
char *config_merge(struct config_merge *merge);

#endif
