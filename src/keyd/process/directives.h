/* The directives of immured.conf. */
#ifndef KEYD_PROCESS_DIRECTIVES_H
#define KEYD_PROCESS_DIRECTIVES_H

#include "conf/grammar.h"

enum section { SECTION_TOP = CONF_TOP, SECTION_KEY, SECTION_KEYS, SECTION_PROVIDER, SECTION_COUNT };

/* The context of its types (conf/value.h) is the list of drivers, which ends with NULL. */
extern const struct conf_grammar immured_grammar;

/* The file that this directive names, according to the struct of its section; NULL: none. */
const char *directive_file(const struct conf_directive *directive, const void *section);

#endif
