/*
 * Resolves the names of servers. A separate process asks for their addresses, and asks again when
 * they expire, so that neither the master nor a worker ever waits for a name server, or parses its
 * replies. Each generation has one, if its configuration has names.
 */
#ifndef PROXY_RESOLVER_RESOLVER_H
#define PROXY_RESOLVER_RESOLVER_H

#include "proxy/config/config.h"

/* The message that the resolver sends over its SOCK_SEQPACKET socket: first for each name, then for
 * each change. */
struct resolver_answer {
    uint32_t server;                   /* its number in the configuration */
    char reason[64];                   /* why the last lookup failed; "": it succeeded */
    struct server_addresses addresses; /* the last good ones; none: there never were any */
};

/* Runs in the child, as an unprivileged user, until the socket's other end is closed. Returns the
 * exit status. */
int resolver_run(const struct proxy_config *config, int socket);

#endif
