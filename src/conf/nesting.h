/* What libconfuse lets pass: that the end of the file cuts something off, and what leaves no trace
 * in its tree. */
#ifndef CONF_NESTING_H
#define CONF_NESTING_H

#include <stdbool.h>

/* `text` has no comments any more. False: a string, comment or brace does not end, a list is empty,
 * a string has an escape for a zero byte, or ${NAME} is there though nothing is to come from the
 * `environment`; *line is where that begins, *reason (a literal) says so. */
bool nesting_check(const char *text, bool environment, int *line, const char **reason);

#endif
