/* The tables of a grammar as documentation. */
#ifndef CONF_DOCUMENT_H
#define CONF_DOCUMENT_H

#include <stdio.h>

#include "conf/grammar.h"

/* In Markdown, a heading of this level ("##"), an introduction and a table for each section. */
void conf_print(const struct conf_grammar *grammar, const char *level, FILE *out);

#endif
