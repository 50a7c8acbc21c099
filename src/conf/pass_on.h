/*
 * How one program writes the configuration of another that it starts: the directives whose rows say
 * what they are passed on as (conf/grammar.h), from the structs that they were read into.
 */
#ifndef CONF_PASS_ON_H
#define CONF_PASS_ON_H

#include <stdio.h>

#include "conf/grammar.h"

/* A line for each such directive of the section, by its name in the other program, whose value in
 * the struct at `base` is not nothing. */
void conf_pass_on(const struct conf_grammar *grammar, unsigned section, const void *base,
                  FILE *out);
/* NAME = 'TEXT', a line; and the beginning of a section: KIND 'NAME' {. */
void conf_write_directive(FILE *out, const char *name, const char *text);
void conf_write_section(FILE *out, const char *kind, const char *name);

/* The first of these directives that has another value in the one struct than in the other; NULL:
 * none has. */
const struct conf_directive *conf_pass_on_difference(const struct conf_grammar *grammar,
                                                     unsigned section, const void *one,
                                                     const void *other);

#endif
