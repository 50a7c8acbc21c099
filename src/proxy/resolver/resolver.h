/*
 * The names of backends: a process of its own asks for their addresses, and asks again when they
 * expire, so that neither the master nor a worker ever waits for a name server, or reads what one
 * sends. Each generation has one, if its configuration has names.
 */
#ifndef PROXY_RESOLVER_RESOLVER_H
#define PROXY_RESOLVER_RESOLVER_H

#include "proxy/config/config.h"

/* What it says over its SOCK_SEQPACKET socket: first of each name, then of each change. */
struct resolver_answer {
    uint32_t backend;                  /* index in the configuration */
    char reason[64];                   /* why the last look has failed; "": it has not */
    struct server_addresses addresses; /* those that were found last; none: never any */
};

/* In the child, without rights: runs until the socket's other end is closed. Returns the exit
 * status. */
int resolver_run(const struct config *config, int socket);

#endif
