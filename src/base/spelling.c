#include "base/spelling.h"

#include <string.h>

bool spelling_is_slip(const char *given, const char *name)
{
    if (strcmp(given, name) == 0)
        return false;
    while (*given != '\0' && *given == *name) {
        given++;
        name++;
    }
    if (*given == '\0' || *name == '\0')
        return strlen(given) + strlen(name) == 1;
    return strcmp(given + 1, name) == 0 || strcmp(given, name + 1) == 0 ||
           strcmp(given + 1, name + 1) == 0 ||
           (given[0] == name[1] && given[1] == name[0] && strcmp(given + 2, name + 2) == 0);
}
