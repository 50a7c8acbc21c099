#ifndef BASE_ENDING_H
#define BASE_ENDING_H

#include <stdbool.h>
#include <string.h>

/* Whether something stands before this end of the text: "a.crt", ".crt". */
static inline bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

#endif
