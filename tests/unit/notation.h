/* Strict checks of text formats. */
#ifndef TESTS_NOTATION_H
#define TESTS_NOTATION_H

#include <stdbool.h>

/* One value of JSON (RFC 8259), and nothing else. */
bool json_is_well_formed(const char *text);

/* Prometheus' text format 0.0.4: every line is valid; every sample follows its TYPE and is unique;
 * a histogram's buckets only grow, and end at its count. Modifies the text. */
void exposition_check(char *text);

#endif
