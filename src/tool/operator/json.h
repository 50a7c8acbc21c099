/* JSON objects, one a line: a member at a time, in the order of the calls. */
#ifndef OPERATOR_JSON_H
#define OPERATOR_JSON_H

#include <stdbool.h>
#include <stdint.h>

/* Begins an object or array on standard output, within what is open; `name` NULL: a value of an
 * array, or the whole. */
void json_open(const char *name, char bracket);
/* Ends it; the whole gets its end of line. */
void json_close(char bracket);
/* NULL: null. */
void json_text(const char *name, const char *text);
void json_bool(const char *name, bool value);
void json_count(const char *name, uint64_t value);
/* Not a number: null. */
void json_number(const char *name, double value);

#endif
