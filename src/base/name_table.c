#include "base/name_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 16

/* FNV-1a. The names come from a configuration file, so nobody chooses them to collide. */
static size_t hash_of(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return (size_t)hash;
}

/* The place of the name, or the free place where it belongs. */
static size_t *place_of(const struct name_table *table, const char *name)
{
    for (size_t i = hash_of(name);; i++) {
        size_t *place = &table->places[i & (table->place_count - 1)];
        if (*place == 0 || strcmp(table->names[*place - 1], name) == 0)
            return place;
    }
}

static bool grow(struct name_table *table)
{
    size_t room = table->room > 0 ? 2 * table->room : ROOM_FIRST;
    char **names = realloc(table->names, room * sizeof *names);
    if (names == NULL)
        return false;
    table->names = names;
    size_t *places = calloc(2 * room, sizeof *places);
    if (places == NULL)
        return false;
    free(table->places);
    table->places = places;
    table->place_count = 2 * room;
    table->room = room;
    for (size_t i = 0; i < table->count; i++)
        *place_of(table, names[i]) = i + 1;
    return true;
}

bool name_table_find(const struct name_table *table, const char *name, size_t *index)
{
    size_t place = table->count > 0 ? *place_of(table, name) : 0;
    if (place > 0)
        *index = place - 1;
    return place > 0;
}

bool name_table_add(struct name_table *table, const char *name, size_t *index)
{
    size_t at;
    if (!name_table_find(table, name, &at)) {
        if (table->count == table->room && !grow(table))
            return false;
        at = table->count;
        table->names[at] = strdup(name);
        if (table->names[at] == NULL)
            return false;
        table->count = at + 1;
        *place_of(table, name) = at + 1;
    }
    if (index != NULL)
        *index = at;
    return true;
}

void name_table_free(struct name_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->names[i]);
    free(table->names);
    free(table->places);
    *table = NAME_TABLE_INIT;
}
