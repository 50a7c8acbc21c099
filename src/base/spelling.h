/* What somebody may have meant who has mistyped a name. */
#ifndef BASE_SPELLING_H
#define BASE_SPELLING_H

#include <stdbool.h>

/* Whether one letter more, less or other, or two neighbours swapped, makes the one the other. The
 * same name is no slip. */
bool spelling_is_slip(const char *given, const char *name);

#endif
