/* Writes JSON objects, one per line, member by member in the order of the calls. */
#ifndef OPERATOR_JSON_H
#define OPERATOR_JSON_H

#include <stdbool.h>
#include <stdint.h>

/* Begins an object or array on standard output, inside the one that is open. `name` is NULL at the
 * top level and for values of an array. */
void json_open(const char *name, char bracket);
/* Ends it. A newline follows the top level. */
void json_close(char bracket);
/* NULL is written as null. */
void json_text(const char *name, const char *text);
void json_bool(const char *name, bool value);
void json_count(const char *name, uint64_t value);
/* NaN is written as null. */
void json_number(const char *name, double value);

#endif
