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
    struct watch watch; /* the channel owns the descriptor */
};

struct lookup {
    struct loop *loop;
    const char *host;
    char service[sizeof "65535"]; /* the port */
    struct timer timer; /* to the next lookup, or to the next timeout of the present one */
    uint64_t at;        /* when the next lookup begins: CLOCK_MONOTONIC, ns */
    uint64_t pause;     /* the back-off after the last failed lookup; ns */
    bool under_way;
    ares_channel channel;
    struct lookup_socket sockets[LOOKUP_SOCKETS]; /* of the channel */

    /* The result of the last lookup. */
    struct server_addresses addresses; /* the last good ones; if none, `status` says why */
    int status;                        /* of c-ares; -1: no lookup has ended yet */
    bool changed;
    void (*found)(struct lookup *lookup); /* called when `addresses` or `status` has changed */
};

/* The loop begins the first lookup in its next turn. The caller keeps `host`, which must outlive
 * *lookup. */
void lookup_begin(struct lookup *lookup, struct loop *loop, const char *host, uint16_t port,
                  void (*found)(struct lookup *lookup));
/* Also allowed for a struct that is all zero, because lookup_begin() was never called. */
void lookup_end(struct lookup *lookup);
/* Returns the status as text, such as "there is no such name". */
const char *lookup_reason(int status);

#endif
