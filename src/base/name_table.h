/* A set of names in the order of insertion, each found in constant time. */
#ifndef BASE_NAME_TABLE_H
#define BASE_NAME_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct name_table {
    char **names;
    size_t count;
    size_t room;
    size_t *places;     /* open addressing, at most half full; index into `names` plus 1, or 0 */
    size_t place_count; /* a power of two */
};

#define NAME_TABLE_INIT ((struct name_table){0})

/* Copies the name, unless it is there already. *index (`index` may be NULL) is its index in
 * `names`. False: out of memory. */
bool name_table_add(struct name_table *table, const char *name, size_t *index);
/* False if the name is not there. */
bool name_table_find(const struct name_table *table, const char *name, size_t *index);
/* An empty table is allowed. */
void name_table_free(struct name_table *table);

#endif
