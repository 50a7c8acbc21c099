/*
 * A configuration file, parsed by libconfuse into a tree of sections, in which each value has its
 * line. The grammar has every name and every nesting in the tree; value.h and the program say what
 * the values mean.
 */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "conf/error.h"
#include "conf/grammar.h"

struct conf_value {
    const char *text; /* belongs to the tree, or to the grammar */
    int line;         /* for a default: where its section begins */
};

/* A section of a file; the top is one of them. */
struct conf_section {
    const struct conf_grammar *grammar;
    const char *file;    /* its name; the caller's */
    unsigned kind;       /* index into the grammar's sections */
    struct cfg_t *node;  /* libconfuse's; NULL: nothing is given but in `outer` */
    struct cfg_t *outer; /* of the section that it stands in; NULL: the top */
};

/*
 * Parses `text`, which conf/text.h has read from `file`; if it is NULL, errno says why it could not
 * be read. False with *error filled; after true the caller closes *top. Not thread-safe, because
 * libconfuse is not.
 */
bool conf_parse(const struct conf_grammar *grammar, const char *file, const char *text,
                struct conf_section *top, struct conf_error *error);
/* Frees the whole tree. */
void conf_close(struct conf_section *top);

/* The sections of a kind within this one, in the order of the file. */
size_t conf_section_count(const struct conf_section *section, unsigned kind);
struct conf_section conf_section_at(const struct conf_section *section, unsigned kind, size_t i);
/* A section of a kind within this one that the file does not write: it has what this one gives for
 * it (CONF_SHARED, CONF_INHERITED), and the line and the name of this one. */
struct conf_section conf_section_own(const struct conf_section *section, unsigned kind);
/* For a kind that a file has once at most; *found: whether it is there. False: there are two, and
 * *error says so. */
bool conf_section_single(const struct conf_section *section, unsigned kind, bool *found,
                         struct conf_section *single, struct conf_error *error);
/* The line on which it begins, and that on which it ends. */
int conf_line(const struct conf_section *section);
int conf_last_line(const struct conf_section *section);
/* Its name in the file; NULL if this kind has none. */
const char *conf_name(const struct conf_section *section);

/* False, with *error filled, if the file gives a directive under both of its names. */
bool conf_check_names(const struct conf_section *section, const struct conf_directive *directive,
                      struct conf_error *error);
/* The values that are given for a directive or inherited, or its default, or none. Only a list has
 * more than one. */
bool conf_given(const struct conf_section *section, const struct conf_directive *directive);
size_t conf_value_count(const struct conf_section *section, const struct conf_directive *directive);
struct conf_value conf_value_at(const struct conf_section *section,
                                const struct conf_directive *directive, size_t i);

/* Returns false, with "FILE:LINE: " and the rest in *error. */
bool conf_refuse(const struct conf_section *section, int line, struct conf_error *error,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
