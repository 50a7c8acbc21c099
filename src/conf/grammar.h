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

/* Where a value is stored: in a field or, if it is a list, in a pointer and a size_t. */
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
    const char *former_name; /* an older name, which files may still use; NULL: none */
    bool required;
    const char *standard; /* the default, as the file would write it; NULL: none */
    uint64_t least, most; /* the bounds of a number or duration */
    /* The words that are valid values, ended by name NULL. A number or a duration that has choices
     * may be written as one of them or in digits. */
    const struct conf_choice *choices;
    size_t offset, size;      /* of the field in the section's struct; a list has no size */
    size_t count_offset;      /* of the size_t that counts the elements of a list */
    const char *passed_on_as; /* if this program writes the configuration of another one
                                 (conf/pass_on.h): the directive there that gets this value;
                                 NULL: the other program does not get it */
    const char *text;         /* what it means, in Markdown */
};

struct conf_kind {
    const char *name;         /* as written in the file; "" for the top */
    unsigned within;          /* index of the section around it; 0 for the top itself */
    unsigned also_within;     /* index of another section that may be around it; 0: there is none */
    bool named;               /* the file gives each such section a name of its own */
    const char *introduction; /* Markdown */
};

/* The first section is the top, which is outside of all others. A section comes after the section
 * around it. */
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

/* Finds a directive of this section by its name. NULL: there is no such directive. */
const struct conf_directive *conf_find(const struct conf_grammar *grammar, unsigned section,
                                       const char *name);
/* Writes what a user may have meant by `name`: a directive of nearly the same spelling, or one of
 * another section. The text continues the line "unknown directive ..."; it may be empty. */
void conf_suggest(const struct conf_grammar *grammar, unsigned section, const char *name,
                  char *text, size_t size);
/* Writes which values are valid: "1 to 256 or auto", "100us to 1s", "async, sync or in-process",
 * "text" and so on. */
#define CONF_VALUES_SIZE 256
void conf_describe_values(const struct conf_directive *directive, char *text, size_t size);

#endif
