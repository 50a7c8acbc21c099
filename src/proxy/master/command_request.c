#include "proxy/master/command_request.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/hex.h"

static bool is_printable(char letter)
{
    return (unsigned char)letter > ' ' && letter != 0x7f;
}

/* Decodes in place. False: a % is not followed by two digits, or they say zero. */
static bool decode(char *word)
{
    char *to = word;
    for (const char *from = word; *from != '\0'; to++) {
        uint8_t byte = (uint8_t)*from;
        if (*from == '%' && (!hex_decode(from + 1, &byte, 1) || byte == 0))
            return false;
        from += *from == '%' ? 3 : 1;
        *to = (char)byte;
    }
    *to = '\0';
    return true;
}

const char *command_request_parse(struct command_request *request, char *line, size_t length)
{
    *request = (struct command_request){.count = 0};
    if (length > 0 && line[length - 1] == '\r')
        length--;
    for (size_t i = 0; i < length; i++)
        if (!is_printable(line[i]) && line[i] != ' ')
            return "the request has a byte that is not printable; write it as %XX";
    line[length] = '\0';
    for (char *word, *rest = line; (word = strsep(&rest, " ")) != NULL;) {
        if (word[0] == '\0')
            continue;
        if (request->count == COMMAND_WORDS_MAX)
            return "the request has too many words";
        if (!decode(word))
            return "a % in the request is not followed by the two hexadecimal digits of a byte";
        request->words[request->count++] = word;
    }
    return request->count > 0 ? NULL : "the request is empty";
}
