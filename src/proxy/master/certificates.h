/* The certificates of a generation: the loader process that reads them, and the store that it
 * sends. The master itself reads no certificate, and never waits for one. */
#ifndef PROXY_MASTER_CERTIFICATES_H
#define PROXY_MASTER_CERTIFICATES_H

#include "proxy/master/generation.h"

/* Starts the loader; files that are as they were for the generation before are not read again.
 * False with errno. */
bool certificates_start(struct generation *generation, const struct generation *before);
/* Ends the loader. */
void certificates_stop(struct generation *generation);

/* Takes the loader's answer. False: there is no store, and *error says why; "": not yet. */
bool certificates_take(struct generation *generation, struct conf_error *error);

#endif
