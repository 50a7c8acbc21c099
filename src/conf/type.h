/* The type of a directive: how its text becomes a field and a text again. value.h has the types
 * that all programs share. */
#ifndef CONF_TYPE_H
#define CONF_TYPE_H

#include <stdbool.h>
#include <stddef.h>

struct conf_directive; /* grammar.h */
struct conf_store;     /* value.h */

#define CONF_SHOW_SIZE 32

/* What the bounds of a directive of this type count. */
enum conf_unit { CONF_UNBOUNDED, CONF_COUNT, CONF_NS, CONF_WHOLE_SECONDS };

struct conf_type {
    /* Which values are valid, if neither bounds nor choices say it: "text", "list of names" ... */
    const char *values;
    enum conf_unit unit;
    bool list;
    /* Stores the value. On failure it returns what one of the refuse functions in value.h returns,
     * and clear() frees what it has allocated by then. */
    bool (*store)(struct conf_store *store);
    /* Frees what store() has allocated; NULL: there is nothing to free. The field may be zero. */
    void (*clear)(void *field, size_t count);
    /* Returns the field as a file would give it: a text that belongs to the struct, or one that is
     * written to `room`; NULL: the field is not set. A type needs this function if one of its
     * directives is passed on. */
    const char *(*show)(const struct conf_directive *directive, const void *field,
                        char room[CONF_SHOW_SIZE]);
};

#endif
