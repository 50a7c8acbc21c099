/*
 * Keeps the addresses of one name up to date with c-ares, by a new lookup whenever they expire.
 * Each lookup reads resolv.conf(5) and nsswitch.conf(5) again.
 */
#ifndef PROXY_RESOLVER_LOOKUP_H
#define PROXY_RESOLVER_LOOKUP_H

#include <ares.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/config/server_addresses.h"

#define LOOKUP_SOCKETS 16 /* further ones are not polled, and their tries time out */

struct lookup {
    const char *host;
    char service[sizeof "65535"]; /* the port */
    uint64_t at;                  /* the next lookup: CLOCK_MONOTONIC, ns */
    uint64_t pause;               /* the last pause after a failure, ns */
    bool under_way;
    ares_channel channel;
    struct pollfd sockets[LOOKUP_SOCKETS]; /* of the channel, with the events that each waits for */
    size_t socket_count;

    /* The last result. `changed` is set when it differs from the one before; the owner clears
     * it. */
    struct server_addresses addresses; /* none: `status` says why */
    int status;                        /* of c-ares; -1: no lookup has ended yet */
    bool changed;
};

/* `host` is not copied. */
void lookup_init(struct lookup *lookup, const char *host, uint16_t port);
void lookup_release(struct lookup *lookup);
/* Starts a lookup that is due, and lets c-ares handle timeouts. */
void lookup_tick(struct lookup *lookup, uint64_t now);
/* Fills in `polls` (room for LOOKUP_SOCKETS). Returns their number. */
size_t lookup_sockets(const struct lookup *lookup, struct pollfd *polls);
/* Handles an event on one of these sockets. */
void lookup_ready(struct lookup *lookup, const struct pollfd *poll);
/* When to call lookup_tick() again. */
uint64_t lookup_deadline(const struct lookup *lookup, uint64_t now);
/* "no such host" ... */
const char *lookup_reason(int status);

#endif
