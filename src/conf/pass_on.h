/*
 * Writes the configuration of another program. Each directive whose row has `passed_on_as`
 * (conf/grammar.h) is written under that name, with the value that the struct has for it.
 */
#ifndef CONF_PASS_ON_H
#define CONF_PASS_ON_H

#include <stdio.h>

#include "conf/grammar.h"

/* Writes a line for each such directive of the section that is set in the struct at `base`. */
void conf_pass_on(const struct conf_grammar *grammar, unsigned section, const void *base,
                  FILE *out);
/* Write the lines "NAME = 'TEXT'" and "KIND 'NAME' {". */
void conf_write_directive(FILE *out, const char *name, const char *text);
void conf_write_section(FILE *out, const char *kind, const char *name);

/* Returns the first such directive whose values in the two structs differ; NULL: there is none. */
const struct conf_directive *conf_pass_on_difference(const struct conf_grammar *grammar,
                                                     unsigned section, const void *one,
                                                     const void *other);

#endif
