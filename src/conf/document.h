/* Makes the documentation of a configuration file from the tables of its grammar. */
#ifndef CONF_DOCUMENT_H
#define CONF_DOCUMENT_H

#include <stdio.h>

#include "conf/grammar.h"

/* Prints Markdown: for each section a heading of this level ("##"), its introduction, and a table
 * of its directives. */
void conf_print(const struct conf_grammar *grammar, const char *level, FILE *out);

#endif
