/* Whether a text is what its format allows, read strictly. */
#ifndef TESTS_NOTATION_H
#define TESTS_NOTATION_H

#include <stdbool.h>

/* One value of JSON (RFC 8259), and nothing else. */
bool json_is_well_formed(const char *text);

/* Prometheus' text format 0.0.4: every line is what the format allows; every sample stands under
 * its TYPE and comes once; a histogram's buckets only grow, and end at its count. Cuts the text up.
 */
void exposition_check(char *text);

#endif
