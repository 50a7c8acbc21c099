/* Completes an openssl.cnf so that it loads the provider, and leaves all its settings in force. */
#ifndef OPERATOR_CONFIG_MERGE_H
#define OPERATOR_CONFIG_MERGE_H

#include <stddef.h>

#define CONFIG_PROBLEM_SIZE 512

struct config_merge {
    const char *file;                  /* the source of `text`, for `problem` */
    const char *text;                  /* the existing configuration; may be empty */
    size_t length;                     /* of the text */
    const char *name;                  /* the program's section name, such as "openssl_conf" */
    const char *module;                /* path of the provider */
    char problem[CONFIG_PROBLEM_SIZE]; /* one line, after a failure */
};

/*
 * The text to append, which the caller frees; empty if the configuration already loads the
 * provider. OpenSSL merges sections of the same name, and the last value of a name wins, so the
 * existing text need not change. NULL: `problem` says why.
 */
char *config_merge(struct config_merge *merge);

#endif
