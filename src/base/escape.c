#include "base/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Length of the UTF-8 sequence at `text` (RFC 3629), 0 if it is invalid. Reads no byte after
 * NUL. */
static size_t utf8_length(const char *text)
{
    const uint8_t *byte = (const uint8_t *)text;
    uint8_t low = 0x80, high = 0xbf; /* the range of the second byte */
    size_t length;
    if (byte[0] < 0x80)
        return 1;
    if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
        length = 2;
    else if (byte[0] >= 0xe0 && byte[0] <= 0xef)
        length = 3;
    else if (byte[0] >= 0xf0 && byte[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (byte[0] == 0xe0)
        low = 0xa0; /* below: overlong forms */
    else if (byte[0] == 0xed)
        high = 0x9f; /* above: surrogates */
    else if (byte[0] == 0xf0)
        low = 0x90;
    else if (byte[0] == 0xf4)
        high = 0x8f; /* above: beyond U+10FFFF */
    if (byte[1] < low || byte[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (byte[i] < 0x80 || byte[i] > 0xbf)
            return 0;
    return length;
}

static const char *replacement(enum escape how, char character)
{
    static const struct {
        enum escape how;
        char character;
        const char *text;
    } replacements[] = {
        {ESCAPE_JSON, '"', "\\\""},   {ESCAPE_JSON, '\\', "\\\\"}, {ESCAPE_LABEL, '"', "\\\""},
        {ESCAPE_LABEL, '\\', "\\\\"}, {ESCAPE_LABEL, '\n', "\\n"}, {ESCAPE_HTML, '&', "&amp;"},
        {ESCAPE_HTML, '<', "&lt;"},   {ESCAPE_HTML, '>', "&gt;"},  {ESCAPE_HTML, '"', "&quot;"},
    };
    for (size_t i = 0; i < sizeof replacements / sizeof replacements[0]; i++)
        if (replacements[i].how == how && replacements[i].character == character)
            return replacements[i].text;
    return NULL;
}

void escape_write(FILE *out, enum escape how, const char *text)
{
    while (text != NULL && *text != '\0') {
        size_t length = utf8_length(text);
        const char *instead = replacement(how, *text);
        if (length == 0)
            fputs("\xef\xbf\xbd", out);
        else if (instead != NULL)
            fputs(instead, out);
        else if (how == ESCAPE_JSON && (uint8_t)*text < 0x20)
            fprintf(out, "\\u%04x", (unsigned)(uint8_t)*text);
        else
            fwrite(text, 1, length, out);
        text += length > 0 ? length : 1;
    }
}
