/*
 * What a program's configuration file may say: a table of sections and a table of directives, which
 * the parser, the checks, the defaults and the documentation come from. A directive is one row:
 *
 *     {SECTION_FRONTEND, "tickets", &conf_number, .standard = "1", .least = 0, .most = 8,
 *      CONF_FIELD(struct frontend_config, tickets), .text = "Session tickets sent ..."},
 *
 * Its type says how the text in the file becomes a field of the section's struct. It is one of the
 * types in value.h, or one of the program's own.
 */
#ifndef CONF_GRAMMAR_H
#define CONF_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a value goes: into a field, or, for a list, into a pointer and a size_t. */
#define CONF_FIELD(type, member)                                                                   \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define CONF_LIST(type, member, count)                                                             \
    .offset = offsetof(type, member), .count_offset = offsetof(type, count)

/* Where a directive may be given. */
enum conf_reach {
    CONF_HERE,     /* in its section only */
    CONF_SHARED,   /* in the section that this one stands in, too: that holds for itself */
    CONF_INHERITED /* the same, and it holds for each section within that does not give it */
};

struct conf_choice {
    const char *name;
    int value;
};

struct conf_directive {
    unsigned section; /* index into the grammar's sections */
    const char *name;
    const struct conf_type *type;
    enum conf_reach reach;
    const char *former_name; /* which files may still use; NULL: none */
    bool required;
    const char *standard; /* the default, as the file would write it; NULL: none */
    uint64_t least, most; /* the bounds of a number or duration */
    const struct conf_choice
        *choices;             /* ended by name NULL; of a number or duration: names beside digits */
    size_t offset, size;      /* of the field in the section's struct; no size of a list */
    size_t count_offset;      /* of a list's size_t */
    const char *passed_on_as; /* where one program writes the configuration of another
                                 (conf/pass_on.h): the directive of that other program that gets
                                 this value; NULL: no other program needs it */
    const char *text;         /* what it means, in Markdown */
};

struct conf_kind {
    const char *name;         /* as written in the file; "" for the top */
    unsigned within;          /* index of the section that it stands in; 0 for the top itself */
    unsigned also_within;     /* index of another section that it may stand in; 0: there is none */
    bool named;               /* it is written NAME { ... }, and each name is used once */
    const char *introduction; /* Markdown */
};

/* The first section is the top, which is outside of all others. A section comes after the one that
 * it stands in. */
struct conf_grammar {
    const struct conf_kind *sections;
    size_t section_count;
    const struct conf_directive *directives;
    size_t directive_count;
    bool environment; /* whether ${NAME} in the file is a variable of the environment */
};

#define CONF_TOP 0

/* Whether the directive may be given in this section. */
bool conf_belongs(const struct conf_grammar *grammar, const struct conf_directive *directive,
                  unsigned section);

/* NULL: no such directive in this section. */
const struct conf_directive *conf_find(const struct conf_grammar *grammar, unsigned section,
                                       const char *name);
/* What a user may have meant by `name`: a directive of another section, or one with nearly the same
 * spelling. The text follows "unknown directive" in one line; it may be empty. */
void conf_suggest(const struct conf_grammar *grammar, unsigned section, const char *name,
                  char *text, size_t size);
/* "1 to 256 or auto", "100us to 1s", "async, sync or in-process", "text" ... */
#define CONF_VALUES_SIZE 256
void conf_describe_values(const struct conf_directive *directive, char *text, size_t size);

#endif
