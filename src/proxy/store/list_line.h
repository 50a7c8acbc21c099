/*
 * A line of a list of certificates:
 *
 *     PATH [key=PATH] [ocsp=PATH] [route=NAME] [name ...]     # a comment
 *
 * The first path is that of the certificate and its chain. Without `key` the key is beside NAME.crt
 * in NAME.key, else in the same file. Names are served in place of those in the certificate.
 * Relative paths are relative to the folder of the list.
 */
#ifndef PROXY_STORE_LIST_LINE_H
#define PROXY_STORE_LIST_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct list_line {
    char *chain, *key; /* NULL: the line is empty */
    char *staple;      /* NULL: none */
    const char *route; /* within the line's text; NULL: that of the list */
    const char **names;
    size_t name_count;
};

/* Takes the text apart, which must outlive *line. `list`: the path of the list. False: `reason`
 * says what is wrong. The line is to be freed in any case. */
bool list_line_parse(struct list_line *line, const char *list, char *text, char *reason,
                     size_t size);
void list_line_free(struct list_line *line);

#endif
