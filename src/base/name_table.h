/* Names without repetition, in the order in which they came, each found in constant time. */
#ifndef BASE_NAME_TABLE_H
#define BASE_NAME_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct name_table {
    char **names;
    size_t count;
    size_t room;
    size_t *places; /* open addressing, at most half full: an index into `names` and 1; 0: free */
    size_t place_count; /* a power of two */
};

#define NAME_TABLE_INIT ((struct name_table){0})

/* Copies the name, unless it is there already. `index` (may be NULL): where it is in `names`.
 * False: out of memory. */
bool name_table_add(struct name_table *table, const char *name, size_t *index);
/* False: it is not there. */
bool name_table_find(const struct name_table *table, const char *name, size_t *index);
/* Harmless on one that is empty. */
void name_table_free(struct name_table *table);

#endif
