/* Turns the values of a section, which are texts, into the fields of a struct, by the types of the
 * directives. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf/tree.h"
#include "conf/type.h"

/* The argument of a type's store(). */
struct conf_store {
    const struct conf_section *section;
    const struct conf_directive *directive;
    const struct conf_value *values; /* one value, unless the directive is a list */
    size_t count;
    void *field;         /* where the value goes; for a list: the pointer to its elements */
    size_t *list_count;  /* for a list: how many elements were stored */
    const void *context; /* for the program's own types */
    struct conf_error *error;
};

extern const struct conf_type conf_number;   /* an unsigned field of any width */
extern const struct conf_type conf_duration; /* uint64_t, ns */
extern const struct conf_type conf_seconds;  /* the same in whole seconds */
extern const struct conf_type conf_choice;   /* an enum, int or bool */
extern const struct conf_type conf_text;     /* char *; not empty */
extern const struct conf_type conf_texts;    /* char ** and a number; no text is empty */

/* These functions return false, after writing an error that names the line and the directive. */
bool conf_store_refuse(struct conf_store *store, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool conf_store_refuse_value(struct conf_store *store); /* "X must be ..., not '...'" */
bool conf_store_refuse_memory(struct conf_store *store);
/* Stores a text from malloc() in a field of type char *. If the text is NULL, there was no memory
 * for it, and the store is refused. */
bool conf_store_keep(struct conf_store *store, char *text);
/* Frees a field of type char *. The program's own types may use it, too. */
void conf_clear_text(void *field, size_t count);

/*
 * Stores the values of all directives of the section, or their defaults, in the struct at `base`.
 * False with *error filled. In both cases the caller calls conf_clear() in the end.
 */
bool conf_fill(const struct conf_section *section, void *base, const void *context,
               struct conf_error *error);
/* Frees what conf_fill() has allocated in the struct of a section of this kind, which may be all
 * zero. */
void conf_clear(const struct conf_grammar *grammar, unsigned kind, void *base);

#endif
