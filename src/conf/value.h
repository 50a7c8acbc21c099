/* From the texts of a section to the fields of its struct, by the types of its directives. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf/tree.h"

/* What a type's function works with. */
struct conf_store {
    const struct conf_section *section;
    const struct conf_directive *directive;
    const struct conf_value *values; /* 1, unless it is a list */
    size_t count;
    void *field;         /* of a list: the pointer to its elements */
    size_t *list_count;  /* of a list: how many there are */
    const void *context; /* the program's, for types of its own */
    struct conf_error *error;
};

#define CONF_SHOW_SIZE 32

struct conf_type {
    /* What is expected, where neither bounds nor choices say it: "text", "list of names" ... */
    const char *values;
    bool list;
    /* False: by one of the functions below. What it has made by then belongs to the struct. */
    bool (*store)(struct conf_store *store);
    /* Gives back what store() has made; NULL: nothing. The field may be all zero. */
    void (*clear)(void *field, size_t count);
    /* The field as a file would say it: a text of the struct's, or one in `room`. NULL: it holds
     * nothing. Every type has it whose directives are passed on. */
    const char *(*show)(const struct conf_directive *directive, const void *field,
                        char room[CONF_SHOW_SIZE]);
};

extern const struct conf_type conf_number;   /* an unsigned field of any width */
extern const struct conf_type conf_duration; /* uint64_t, ns */
extern const struct conf_type conf_seconds;  /* the same, whole seconds */
extern const struct conf_type conf_choice;   /* an enum, int or bool */
extern const struct conf_type conf_text;     /* char *; not empty */
extern const struct conf_type conf_texts;    /* char **, and their number; none is empty */

/* All false, with the error that names line and directive. */
bool conf_store_refuse(struct conf_store *store, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool conf_store_refuse_value(struct conf_store *store); /* "X must be ..., not '...'" */
bool conf_store_refuse_memory(struct conf_store *store);
/* Keeps a text in a field of type char *; NULL: there was no memory for it. */
bool conf_store_keep(struct conf_store *store, char *text);
/* What clears and shows a field of type char *, in the program's own types too. */
void conf_clear_text(void *field, size_t count);
const char *conf_show_text(const struct conf_directive *directive, const void *field,
                           char room[CONF_SHOW_SIZE]);

/*
 * Stores all that the section says, or the defaults, into its struct at `base`. False with *error
 * filled; what has been stored by then is to be cleared as ever.
 */
bool conf_fill(const struct conf_section *section, void *base, const void *context,
               struct conf_error *error);
/* The value of a directive in the struct at `base`, as conf_type.show() has it. */
const char *conf_show(const struct conf_directive *directive, const void *base,
                      char room[CONF_SHOW_SIZE]);
/* Frees what conf_fill() made in the struct of such a section, which may be all zero. */
void conf_clear(const struct conf_grammar *grammar, unsigned kind, void *base);

#endif
