/* The certificates of a generation: the loader process that reads them, and the store that it
 * sends. The master itself reads no certificate, and never waits for one. */
#ifndef PROXY_MASTER_CERTIFICATES_H
#define PROXY_MASTER_CERTIFICATES_H

#include "proxy/master/core.h"
#include "proxy/store/refusals.h"

/* Starts the loader; files that are as they were for the store `before` (NULL: none) are not read
 * again. `refused` and `tries`: see sources.h. False with errno. */
bool certificates_start(struct generation *generation, const struct store *before,
                        const struct refusals *refused, bool tries);
/* Starts the process that watches folders of certificates, if the configuration wants it. False
 * with errno. */
bool certificates_watch(struct generation *generation);
/* Ends both. */
void certificates_stop(struct generation *generation);

/* Takes the loader's answer: the store, and a descriptor of it. NULL: there is no store, and *error
 * says why; "": not yet. */
struct store *certificates_take(struct generation *generation, int *memory,
                                struct conf_error *error);

#endif
