/* Turns the texts of a section into the fields of its struct, by the types of the directives. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf/tree.h"

/* The argument of a type's store(). */
struct conf_store {
    const struct conf_section *section;
    const struct conf_directive *directive;
    const struct conf_value *values; /* 1, unless it is a list */
    size_t count;
    void *field;         /* for a list: the pointer to its elements */
    size_t *list_count;  /* for a list: how many elements there are */
    const void *context; /* for the program's own types */
    struct conf_error *error;
};

#define CONF_SHOW_SIZE 32

struct conf_type {
    /* What is expected, where neither bounds nor choices say it: "text", "list of names" ... */
    const char *values;
    bool list;
    /* On failure it returns false by one of the functions below. What it has made by then belongs
     * to the struct. */
    bool (*store)(struct conf_store *store);
    /* Frees what store() has made; NULL: there is nothing to free. The field may be all zero. */
    void (*clear)(void *field, size_t count);
    /* Returns the field as a file would write it: a text of the struct's, or one in `room`; NULL:
     * the field is not set. Types whose directives are passed on must have this function. */
    const char *(*show)(const struct conf_directive *directive, const void *field,
                        char room[CONF_SHOW_SIZE]);
};

extern const struct conf_type conf_number;   /* an unsigned field of any width */
extern const struct conf_type conf_duration; /* uint64_t, ns */
extern const struct conf_type conf_seconds;  /* the same in whole seconds */
extern const struct conf_type conf_choice;   /* an enum, int or bool */
extern const struct conf_type conf_text;     /* char *; not empty */
extern const struct conf_type conf_texts;    /* char **, and their number; none is empty */

/* All return false, with an error that names the line and the directive. */
bool conf_store_refuse(struct conf_store *store, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool conf_store_refuse_value(struct conf_store *store); /* "X must be ..., not '...'" */
bool conf_store_refuse_memory(struct conf_store *store);
/* Stores a text that malloc() made in a field of type char *. NULL: there was no memory for it. */
bool conf_store_keep(struct conf_store *store, char *text);
/* Clears a field of type char *, in the program's own types too. */
void conf_clear_text(void *field, size_t count);

/*
 * Stores all values of the section, and the defaults of others, in the struct at `base`. False with
 * *error filled; the caller clears the struct then too.
 */
bool conf_fill(const struct conf_section *section, void *base, const void *context,
               struct conf_error *error);
/* Frees what conf_fill() has made in the struct of such a section, which may be all zero. */
void conf_clear(const struct conf_grammar *grammar, unsigned kind, void *base);

#endif
