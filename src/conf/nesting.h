/* What libconfuse lets pass: a section that the end of the file cuts off counts as whole to it. */
#ifndef CONF_NESTING_H
#define CONF_NESTING_H

#include <stdbool.h>

/* `text` has no comments any more. False: a string, comment or brace does not end; *line is where
 * it begins, *reason (a literal) says so. */
bool nesting_check(const char *text, int *line, const char **reason);

#endif
