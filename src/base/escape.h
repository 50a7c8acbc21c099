/* Escapes text of unknown origin (names in certificates, paths) for the formats we write. */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include <stdio.h>

enum escape {
    ESCAPE_JSON,  /* inside a JSON string (RFC 8259, section 7) */
    ESCAPE_LABEL, /* inside a Prometheus label value (text format 0.0.4) */
    ESCAPE_HTML   /* as HTML text or inside a double-quoted attribute */
};

/* Bytes that are not valid UTF-8 become U+FFFD. NULL writes nothing. */
void escape_write(FILE *out, enum escape how, const char *text);

#endif
