/*
 * The certificates that are served, in one sealed piece of memory. A child of the master makes it
 * (loader.h); the master, all threads of the worker and the admin thread share it, read-only.
 *
 * It holds each certificate as DER, so that a worker parses one only when a client first asks for
 * it, and an index of names. Every lookup takes constant time. All offsets are checked when a store
 * is opened, and the seals rule out later changes; so what the functions below return is always
 * within the store. They may be called by any number of threads.
 *
 *     (frontend, name) -> choices, one a route -> certificates, one a kind -> DER, chain, key id...
 */
#ifndef PROXY_STORE_STORE_H
#define PROXY_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/error.h"
#include "proxy/store/record.h"

struct store;

/* Maps a store; the descriptor stays the caller's. NULL: *error says what is wrong with it. */
struct store *store_open(int memory, struct conf_error *error);
/* One more user, who closes it, too. Users that share one are in the same thread. Returns store. */
struct store *store_share(struct store *store);
void store_close(struct store *store);

/*
 * What the routes of a frontend have for exactly this name, in the order of the configuration:
 * "www.example.com", the wildcard "*.example.com", or the address "ip:192.0.2.1". Returns their
 * number. Letters are in lower case.
 */
size_t store_find(const struct store *store, uint32_t frontend, const char *name,
                  const struct store_choice **choices);
/* For clients whose name no certificate has: the first certificate of the route, with those of
 * other kinds for its first name. NULL: the route has none. */
const struct store_choice *store_route_default(const struct store *store, uint32_t route);

size_t store_certificate_count(const struct store *store);
const struct store_certificate *store_certificate(const struct store *store, uint32_t number);
/* The numbers of the certificates that follow the leaf, for store_chain_certificate(). */
const uint32_t *store_chain(const struct store *store, const struct store_certificate *certificate);
size_t store_chain_certificate_count(const struct store *store);
/* Returns its DER. */
const uint8_t *store_chain_certificate(const struct store *store, uint32_t number, size_t *length);

const uint8_t *store_bytes(const struct store *store, struct store_span span);
const char *store_text(const struct store *store, struct store_span text);

/* Whether processes that are forked from now on have it; they do at first. */
void store_inherit(const struct store *store, bool inherited);

/* How many files could not be used when the store was made. */
uint32_t store_failed(const struct store *store);
/* Those of them of which the store says more; they may be fewer. */
size_t store_failure_count(const struct store *store);
const struct store_failure *store_failure(const struct store *store, uint32_t number);
/* The whole store, for those that keep it or tell its size. */
const void *store_mapping(const struct store *store, size_t *size);

#endif
