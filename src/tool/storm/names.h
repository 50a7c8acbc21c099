/* The server names that the connections of a storm ask for, one after the other. */
#ifndef STORM_NAMES_H
#define STORM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names {
    char *text;
    const char **lines;
    size_t count; /* 0: there are none */
};

/* Reads a file of one name a line. False, with `reason`: it cannot be read, or has no names. The
 * names are to be freed in any case. */
bool names_load(struct names *names, const char *path, char *reason, size_t size);
void names_free(struct names *names);

/* The name for connection `number`: after the last name the first comes again. */
const char *names_at(const struct names *names, uint64_t number);

#endif
