/* Checks for mistakes that libconfuse accepts: the file ends within something, or says something
 * that leaves no trace in the tree. */
#ifndef CONF_NESTING_H
#define CONF_NESTING_H

#include <stdbool.h>

/* The comments of `text` were blanked before. False: a string, comment or brace does not end, a
 * list is empty, a string has an escape for a zero byte, or ${NAME} is used although this program
 * takes nothing from the `environment`. Then *line is where that begins, and *reason, a literal,
 * says what it is. */
bool nesting_check(const char *text, bool environment, int *line, const char **reason);

#endif
