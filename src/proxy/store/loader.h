/*
 * The child that reads the certificates of a configuration, so that the master never waits for a
 * disk, or parses a file. It sends the store to the master, and ends.
 */
#ifndef PROXY_STORE_LOADER_H
#define PROXY_STORE_LOADER_H

#include "conf/error.h"
#include "proxy/config/config.h"
#include "proxy/store/refusals.h"
#include "proxy/store/store.h"

/* The one message over the SOCK_SEQPACKET socket; the store comes with it as a descriptor. */
struct loader_answer {
    struct conf_error error; /* why there is no store; "": there is one */
};

/* Runs in the child. `before`: the store in force, or NULL; else the index of the configuration
 * stands in for it. `refused` and `tries`: see sources.h. Returns the exit status. */
int loader_run(const struct proxy_config *config, const struct store *before,
               const struct refusals *refused, bool tries, int socket);

#endif
