/*
 * A configuration file as a tree of sections, by libconfuse, each value with its line. Every name
 * and every nesting in it is one of the grammar; what the values mean is for value.h and for the
 * program to say.
 */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "conf/error.h"
#include "conf/grammar.h"

struct conf_value {
    const char *text; /* the tree's, or the grammar's */
    int line;         /* of a default: where its section begins */
};

/* A section of a file that was read; the top is one, too. */
struct conf_section {
    const struct conf_grammar *grammar;
    const char *file;   /* its name; the caller's */
    unsigned kind;      /* index into the grammar's sections */
    struct cfg_t *node; /* libconfuse's */
};

/*
 * Reads `text` (conf/text.h), which is that of `file`; NULL: errno says why there is none. False
 * with *error filled; else *top is to be closed. Not thread-safe: libconfuse is not.
 */
bool conf_parse(const struct conf_grammar *grammar, const char *file, const char *text,
                struct conf_section *top, struct conf_error *error);
/* Once for the whole tree. */
void conf_close(struct conf_section *top);

/* The sections of a kind within this one, in the order of the file. */
size_t conf_section_count(const struct conf_section *section, unsigned kind);
struct conf_section conf_section_at(const struct conf_section *section, unsigned kind, size_t i);
/* The only one of its kind; *found: whether there is one. False: there are two, and *error says
 * so. */
bool conf_section_single(const struct conf_section *section, unsigned kind, bool *found,
                         struct conf_section *single, struct conf_error *error);
/* The line on which it begins, and that on which it ends. */
int conf_line(const struct conf_section *section);
int conf_last_line(const struct conf_section *section);
/* Its name in the file; NULL if this kind has none. */
const char *conf_name(const struct conf_section *section);

/* The values given for a directive, or its default; none if it has neither. Only a list has more
 * than one. */
bool conf_given(const struct conf_section *section, const struct conf_directive *directive);
size_t conf_value_count(const struct conf_section *section, const struct conf_directive *directive);
struct conf_value conf_value_at(const struct conf_section *section,
                                const struct conf_directive *directive, size_t i);

/* False, with *error filled: "FILE:LINE: " and the rest. */
bool conf_refuse(const struct conf_section *section, int line, struct conf_error *error,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
