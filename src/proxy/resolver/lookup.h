/*
 * Keeps the addresses of one name up to date with c-ares, by a new lookup whenever they expire.
 * Each lookup reads resolv.conf(5) and nsswitch.conf(5) again.
 */
#ifndef PROXY_RESOLVER_LOOKUP_H
#define PROXY_RESOLVER_LOOKUP_H

#include <ares.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "proxy/config/server_addresses.h"

#define LOOKUP_SOCKETS 16 /* further ones are not polled, and their tries time out */

struct lookup;

struct lookup_socket {
    struct lookup *lookup;
    struct watch watch; /* the descriptor is the channel's */
};

struct lookup {
    struct loop *loop;
    const char *host;
    char service[sizeof "65535"]; /* the port */
    struct timer timer;           /* the next look; of one that is under way, its next time limit */
    uint64_t at;                  /* the next look: CLOCK_MONOTONIC, ns */
    uint64_t pause;               /* before the last look that failed, ns */
    bool under_way;
    ares_channel channel;
    struct lookup_socket sockets[LOOKUP_SOCKETS]; /* of the channel */

    /* What was found last. */
    struct server_addresses addresses; /* none: `status` says why */
    int status;                        /* of c-ares; -1: no lookup has ended yet */
    bool changed;
    void (*found)(struct lookup *lookup); /* another than before */
};

/* Begins the first look at once, in the loop. The text stays the caller's. */
void lookup_begin(struct lookup *lookup, struct loop *loop, const char *host, uint16_t port,
                  void (*found)(struct lookup *lookup));
/* Whether or not it has begun; all zero else. */
void lookup_end(struct lookup *lookup);
/* "no such host" ... */
const char *lookup_reason(int status);

#endif
