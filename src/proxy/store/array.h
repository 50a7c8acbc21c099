/* An array that grows. */
#ifndef PROXY_STORE_ARRAY_H
#define PROXY_STORE_ARRAY_H

#include <stddef.h>

struct array {
    void *items;
    size_t item_size;
    size_t count, room;
};

#define ARRAY_INIT(type) ((struct array){.item_size = sizeof(type)})

/* Appends a copy of the item. Returns its place, or NULL: out of memory. */
void *array_add(struct array *array, const void *item);
void *array_at(const struct array *array, size_t number);
void array_free(struct array *array);

#endif
