#include "proxy/store/array.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

void *array_add(struct array *array, const void *item)
{
    if (array->count == array->room) {
        size_t room = array->room > 0 ? 2 * array->room : ROOM_FIRST;
        void *items = reallocarray(array->items, room, array->item_size);
        if (items == NULL)
            return NULL;
        array->items = items;
        array->room = room;
    }
    return memcpy(array_at(array, array->count++), item, array->item_size);
}

void *array_at(const struct array *array, size_t number)
{
    return (char *)array->items + number * array->item_size;
}

void array_free(struct array *array)
{
    free(array->items);
    *array = (struct array){.item_size = array->item_size};
}
