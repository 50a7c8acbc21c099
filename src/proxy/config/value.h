/* From a directive's text to the field of its section's struct. */
#ifndef PROXY_CONFIG_VALUE_H
#define PROXY_CONFIG_VALUE_H

#include "proxy/config/directives.h"

struct value {
    const char *text;
    int line; /* of a default: where its section begins */
};

/*
 * Stores `count` values (1 unless it is a list) into the struct at `base`. False with the reason,
 * one line, in `reason`; *line is then the line of the value. What is stored belongs to the struct.
 */
bool value_store(const struct directive *directive, const struct value *values, size_t count,
                 const char *directory, void *base, int *line, char *reason, size_t size);

#endif
