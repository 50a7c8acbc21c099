/* Text of unknown origin (names in certificates, paths) in the formats that programs write it in.
 */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include <stdio.h>

enum escape {
    ESCAPE_JSON,  /* inside a JSON string (RFC 8259, section 7) */
    ESCAPE_LABEL, /* inside a Prometheus label value (text format 0.0.4) */
    ESCAPE_HTML   /* as HTML text or inside a double-quoted attribute */
};

/* Bytes that are not UTF-8 come out as U+FFFD. NULL writes nothing. */
void escape_write(FILE *out, enum escape how, const char *text);

#endif
