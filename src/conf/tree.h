/*
 * A configuration file as a tree of sections, which libconfuse has parsed. Each value in it knows
 * its line. All names and nestings in the tree are those of the grammar; value.h and the program
 * say what the values mean.
 */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "conf/error.h"
#include "conf/grammar.h"

struct conf_value {
    const char *text; /* belongs to the tree or, for a default, to the grammar */
    int line;         /* for a default: where its section begins */
};

/* A section of a file; the top is one of them. */
struct conf_section {
    const struct conf_grammar *grammar;
    const char *file;    /* the name of the file; belongs to the caller */
    unsigned kind;       /* index into the grammar's sections */
    struct cfg_t *node;  /* the section in libconfuse's tree; NULL: only `outer` gives anything */
    struct cfg_t *outer; /* the section around it; NULL for the top */
};

/*
 * Parses `text`, which conf/text.h has read from `file`. If `text` is NULL, errno says why the file
 * could not be read. False with *error filled; otherwise the caller closes *top. Not thread-safe,
 * because libconfuse is not.
 */
bool conf_parse(const struct conf_grammar *grammar, const char *file, const char *text,
                struct conf_section *top, struct conf_error *error);
/* Frees the whole tree. */
void conf_close(struct conf_section *top);

/* The sections of a kind within this section: how many there are, and each of them in the order of
 * the file. */
size_t conf_section_count(const struct conf_section *section, unsigned kind);
struct conf_section conf_section_at(const struct conf_section *section, unsigned kind, size_t i);
/* Returns a section of a kind within this one that the file does not write: it has what this one
 * gives for it (CONF_SHARED, CONF_INHERITED), and the line and the name of this one. */
struct conf_section conf_section_own(const struct conf_section *section, unsigned kind);
/* Returns the section of a kind that may occur only once; *found says whether it is there. False:
 * there are several, and *error says so. */
bool conf_section_single(const struct conf_section *section, unsigned kind, bool *found,
                         struct conf_section *single, struct conf_error *error);
/* The line on which the section begins, and the line on which it ends. */
int conf_line(const struct conf_section *section);
int conf_last_line(const struct conf_section *section);
/* The name of the section in the file; NULL: sections of this kind have no name. */
const char *conf_name(const struct conf_section *section);

/* False, with *error filled, if the file gives a directive under both of its names. */
bool conf_check_names(const struct conf_section *section, const struct conf_directive *directive,
                      struct conf_error *error);
/* The values of a directive: those that the file gives or that are inherited, or else its default,
 * or else none. Only a list has more than one. conf_given() says whether the file gives any. */
bool conf_given(const struct conf_section *section, const struct conf_directive *directive);
size_t conf_value_count(const struct conf_section *section, const struct conf_directive *directive);
struct conf_value conf_value_at(const struct conf_section *section,
                                const struct conf_directive *directive, size_t i);

/* Writes "FILE:LINE: " and the formatted reason into *error. Always returns false. */
bool conf_refuse(const struct conf_section *section, int line, struct conf_error *error,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
