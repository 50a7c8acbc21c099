/*
 * The one table of directives: from it come the parser's options, the checks, the defaults and the
 * documentation.
 */
#ifndef PROXY_CONFIG_DIRECTIVES_H
#define PROXY_CONFIG_DIRECTIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum section {
    SECTION_TOP,
    SECTION_FRONTEND,
    SECTION_CERTIFICATE,
    SECTION_BACKEND,
    SECTION_ADMIN,
    SECTION_KEYS,
    SECTION_COUNT
};

enum directive_type {
    TYPE_NUMBER,      /* an unsigned field of any width */
    TYPE_DURATION,    /* uint64_t, ns */
    TYPE_CHOICE,      /* an enum, int or bool */
    TYPE_TEXT,        /* char * */
    TYPE_PATH,        /* char *; need not exist */
    TYPE_FILE,        /* char *; must be readable */
    TYPE_BACKEND,     /* size_t: the index of the backend with this name */
    TYPE_ADDRESS,     /* struct address, to connect to */
    TYPE_LISTEN,      /* struct address, to listen on */
    TYPE_LISTEN_LIST, /* struct address *, and their number */
    TYPE_ALPN_LIST    /* uint8_t *, and its length */
};

struct choice {
    const char *name;
    int value;
};

struct directive {
    enum section section;
    const char *name;
    enum directive_type type;
    bool required;
    const char *standard;         /* the default, as the configuration would write it; NULL: none */
    uint64_t least, most;         /* of a number or duration */
    const struct choice *choices; /* ended by name NULL; of a number: names beside digits */
    size_t offset, size;          /* of the field in the section's struct; no size of a list */
    size_t count_offset;          /* of a list's size_t */
    const char *text;
};

extern const struct directive directives[];
extern const size_t directive_count;
/* As written in the file; "" for the top. */
extern const char *const section_names[SECTION_COUNT];

/* NULL: no such directive in this section. */
const struct directive *directive_find(enum section section, const char *name);
/* Whether values come as a list. */
bool directive_is_list(const struct directive *directive);
/* What a user may have meant by `name`: another section's, or one that is spelt nearly so; one line
 * to follow "unknown directive", or "". */
void directive_suggest(enum section section, const char *name, char *text, size_t size);
/* "1 to 256, or auto", "100us to 1s", "async, sync or in-process" ... */
void directive_describe_values(const struct directive *directive, char *text, size_t size);

#endif
