/* Documentation from the tables of a grammar. */
#ifndef CONF_DOCUMENT_H
#define CONF_DOCUMENT_H

#include <stdio.h>

#include "conf/grammar.h"

/* Prints Markdown: for each section a heading of this level ("##"), its introduction and a table.
 */
void conf_print(const struct conf_grammar *grammar, const char *level, FILE *out);

#endif
