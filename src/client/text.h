/* Makes text that came over the wire safe for logs and terminals, and terminates it. */
#ifndef CLIENT_TEXT_H
#define CLIENT_TEXT_H

#include <stddef.h>

/* Copies at most size - 1 bytes; control characters become '?'. */
static inline void text_copy(char *text, size_t size, const char *bytes, size_t length)
{
    size_t end = length < size ? length : size - 1;
    for (size_t i = 0; i < end; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        text[i] = byte >= 0x20 && byte != 0x7f ? bytes[i] : '?';
    }
    text[end] = '\0';
}

#endif
