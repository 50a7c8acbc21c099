/*
 * Makes a store. First the certificates of routes are added, with their names. Then the routes are
 * published, in the order in which they are to be tried.
 *
 * No function but store_builder_seal() reports that memory was short; so a caller need not check
 * each call.
 */
#ifndef PROXY_STORE_BUILDER_H
#define PROXY_STORE_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/store/record.h"

struct store_builder;

/* NULL: out of memory. */
struct store_builder *store_builder_new(void);
void store_builder_free(struct store_builder *builder);

/* Copies bytes, or a text, into the store. The bytes of another store may be given, too. */
struct store_span store_builder_bytes(struct store_builder *builder, const void *bytes,
                                      size_t length);
struct store_span store_builder_text(struct store_builder *builder, const char *text);
/* For a text that many certificates have: it is in the store once. NULL is the empty text. */
struct store_span store_builder_common_text(struct store_builder *builder, const char *text);
/* What the span holds; until the next call that adds bytes. */
const void *store_builder_peek(const struct store_builder *builder, struct store_span span);

/* Returns the number of a certificate that follows a leaf, which is in the store once. */
uint32_t store_builder_chain_certificate(struct store_builder *builder, const void *der,
                                         size_t length);
/* Returns what store_certificate.chain is for these certificates. */
uint32_t store_builder_chain(struct store_builder *builder, const uint32_t *numbers, size_t count);

/* Returns the certificate's number. The first one of a route is its default. */
uint32_t store_builder_add(struct store_builder *builder,
                           const struct store_certificate *certificate);

/* Whether any was added for the route. */
bool store_builder_has_certificates(const struct store_builder *builder, uint32_t route);

/* Until the next one is added. */
const struct store_certificate *store_builder_certificate(const struct store_builder *builder,
                                                          uint32_t number);

/* The route has this certificate for the name, unless it has another of this kind for it. */
void store_builder_name(struct store_builder *builder, uint32_t route, const char *name,
                        uint32_t certificate);

/* Clients of the frontend find the route by all names that it has certificates for; a wildcard
 * fills in for the kinds that a name has none of... */
void store_builder_publish(struct store_builder *builder, uint32_t frontend, uint32_t route);
/* ...or by this one, with the certificates that the route `origin` has for the name, or for its
 * wildcard, or else with the default of `origin`. STORE_NONE: without certificates, because the
 * route terminates no TLS. */
void store_builder_publish_name(struct store_builder *builder, uint32_t frontend, uint32_t route,
                                const char *name, uint32_t origin);

/* After that: ...and by all names of `origin` for which a wildcard that was published stands, so
 * that each of them is served with its own certificates. */
void store_builder_publish_covered(struct store_builder *builder, uint32_t frontend, uint32_t route,
                                   uint32_t origin);

/* One more file could not be used; see struct store_failure. */
void store_builder_note_failure(struct store_builder *builder, const char *file, const char *reason,
                                uint32_t route, bool kept);

/* Ends the building, even if it fails. Returns the descriptor of the store, or -1 with errno. */
int store_builder_seal(struct store_builder *builder, uint32_t routes);

#endif
