/*
 * Whom a client counts for: the prefix of its address that one owner is taken to have. That is the
 * whole address of IPv4, and a /56 of IPv6, which is what many providers give to a customer. Some
 * give a /48, so what a /56 does counts for its /48, too.
 *
 * A prefix is a number: at most 56 bits of the address, and its length in the lowest eight. So
 * tables need no room for addresses, and two prefixes are never taken for one.
 */
#ifndef PROXY_WORKER_ADMISSION_SOURCE_H
#define PROXY_WORKER_ADMISSION_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define PREFIX_NONE UINT64_C(0)

/* A /48 may have as much as so many /56 of it. */
#define WIDE_SHARES 16

struct source {
    uint64_t narrow; /* IPv4: /32, IPv6: /56; clients without such an address share one */
    uint64_t wide;   /* IPv6: /48; otherwise PREFIX_NONE */
};

struct source source_from(const struct sockaddr_storage *address);
/* Whether the client has an address of IPv4 or IPv6. */
bool source_has_address(const struct source *source);

/* A hash that nobody can foresee who does not know the seed. */
struct prefix_seed {
    uint64_t a, b;
};
uint64_t prefix_hash(const struct prefix_seed *seed, uint64_t prefix);

/* Writes "203.0.113.7/32", "2001:db8:0:100::/56" or "no address". Returns text. */
#define PREFIX_TEXT_SIZE 64
const char *prefix_print(uint64_t prefix, char text[PREFIX_TEXT_SIZE]);

#endif
