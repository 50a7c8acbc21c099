/*
 * One name that is looked up again and again, as its addresses expire, by c-ares: hosts file and
 * name servers, as resolv.conf(5) and nsswitch.conf(5) say at each look.
 */
#ifndef PROXY_RESOLVER_LOOKUP_H
#define PROXY_RESOLVER_LOOKUP_H

#include <ares.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/config/server_addresses.h"

#define LOOKUP_SOCKETS 16 /* for one more nobody waits: that try fails in its time */

struct lookup {
    const char *host;
    char service[sizeof "65535"]; /* the port */
    uint64_t at;                  /* the next look: CLOCK_MONOTONIC, ns */
    uint64_t pause;               /* before the last look that failed, ns */
    bool under_way;
    ares_channel channel;
    struct pollfd sockets[LOOKUP_SOCKETS]; /* of the channel, and what each waits for */
    size_t socket_count;

    /* What was found last. Another than before: `changed`, which the owner clears. */
    struct server_addresses addresses; /* none: `status` says why */
    int status;                        /* of c-ares; -1: none yet */
    bool changed;
};

/* The text stays the caller's. */
void lookup_init(struct lookup *lookup, const char *host, uint16_t port);
void lookup_release(struct lookup *lookup);
/* Begins a look that is due, and gives up what c-ares has waited for too long. */
void lookup_tick(struct lookup *lookup, uint64_t now);
/* What it waits for, into `polls` (LOOKUP_SOCKETS of them); returns how many. */
size_t lookup_sockets(const struct lookup *lookup, struct pollfd *polls);
/* Something happened at one of these. */
void lookup_ready(struct lookup *lookup, const struct pollfd *poll);
/* When to call lookup_tick() again. */
uint64_t lookup_deadline(const struct lookup *lookup, uint64_t now);
/* "no such host" ... */
const char *lookup_reason(int status);

#endif
