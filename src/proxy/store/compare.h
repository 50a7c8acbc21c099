/* What has changed from one store of certificates to the next. */
#ifndef PROXY_STORE_COMPARE_H
#define PROXY_STORE_COMPARE_H

#include "proxy/store/store.h"

enum store_change { STORE_ADDED, STORE_REPLACED, STORE_REMOVED };

/* Calls back for each certificate that is not the same in both. A certificate is known by its route
 * and the path of its file. `number` is in `after`, but for STORE_REMOVED in `before`. False: out
 * of memory, and nothing was called. */
bool store_compare(const struct store *before, const struct store *after,
                   void (*note)(void *owner, enum store_change change, uint32_t number),
                   void *owner);
/* Whether each route has certificates of the same kinds in both, which decide about its ciphers. */
bool store_same_kinds(const struct store *before, const struct store *after, size_t route_count);

#endif
