/*
 * A store on disk, for the next start. It is taken up only if it is whole, and nobody but our own
 * user can have written it. Files whose state has changed since are read again all the same.
 */
#ifndef PROXY_STORE_INDEX_H
#define PROXY_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/store/store.h"

/* Returns the descriptor of a sealed copy, to be opened as a store. -1 with errno, and `reason`:
 * ENOENT if there is none. */
int index_read(const char *path, char *reason, size_t size);
/* Replaces the file at once. False: `reason` says why not, and the old file is there still. */
bool index_write(const char *path, const struct store *store, char *reason, size_t size);

#endif
