/*
 * The host names of a generation's backends: its resolver process, and what that has found. The
 * master never asks a name server, and never waits for one.
 */
#ifndef PROXY_MASTER_NAMES_H
#define PROXY_MASTER_NAMES_H

#include "proxy/master/generation.h"

/* Takes over the addresses that a generation before has for the same names (NULL: there is none):
 * they hold until the resolver says more. */
void names_inherit(struct generation *generation, const struct generation *before);
/* Starts the resolver, if there are names. False with errno. */
bool names_start(struct generation *generation, uint64_t now);
/* The resolver is not needed any more. */
void names_stop(struct generation *generation);

/* The first backend without an address; NULL: there is none. */
const struct backend_config *names_missing(const struct generation *generation);
/* One line that says which name has no address, and why. */
void names_describe(const struct generation *generation, const struct backend_config *missing,
                    char *text, size_t size);
/* The resolver has said something. */
void names_ready(struct generation *generation);

#endif
