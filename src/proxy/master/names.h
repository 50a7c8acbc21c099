/*
 * The host names of a generation's servers: its resolver process, and the addresses that it has
 * found. The master itself never asks a name server, and never waits for one.
 */
#ifndef PROXY_MASTER_NAMES_H
#define PROXY_MASTER_NAMES_H

#include "proxy/master/core.h"

/* Takes over the addresses of the same names from the generation before, if there is one. They are
 * used until the resolver sends others. */
void names_inherit(struct generation *generation, const struct generation *before);
/* Starts the resolver, if there are host names. False with errno. */
bool names_start(struct generation *generation);
/* Ends the resolver. */
void names_stop(struct generation *generation);

/* The first server without an address; NULL: there is none. */
const struct server_config *names_missing(const struct generation *generation);
/* Writes one line that says which name has no address, and why. */
void names_describe(const struct generation *generation, const struct server_config *missing,
                    char *text, size_t size);
/* Reads the answers of the resolver, and calls back for each server that now has other addresses.
 */
void names_ready(struct generation *generation,
                 void (*changed)(struct generation *generation, uint32_t server));

#endif
