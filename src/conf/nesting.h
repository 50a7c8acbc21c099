/* Finds mistakes that libconfuse accepts: the file ends in the middle of something, or it contains
 * something that leaves no trace in the tree. */
#ifndef CONF_NESTING_H
#define CONF_NESTING_H

#include <stdbool.h>

/* The caller has already blanked the comments of `text`. False: a string or a comment does not end,
 * a brace is not closed, a list is empty, a string contains an escape for a zero byte, or ${NAME}
 * is used although this program takes nothing from the `environment`. Then *line says where the
 * mistake begins, and *reason, a literal, says what it is. */
bool nesting_check(const char *text, bool environment, int *line, const char **reason);

#endif
