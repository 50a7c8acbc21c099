/*
 * Makes a store. What is put into it must come in the order of the configuration: frontend by
 * frontend, route by route.
 *
 * No function but store_builder_seal() reports that memory was short; so a caller need not check
 * each call.
 */
#ifndef PROXY_STORE_BUILDER_H
#define PROXY_STORE_BUILDER_H

#include "proxy/store/store.h"

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

/*
 * Names are looked up within a scope. That of a frontend is its number, and what its routes serve
 * is found there. A route whose names the configuration gives has a scope of its own while the
 * store is made, for the names in its certificates.
 */
#define STORE_SCOPE_OF_ROUTE(route) (STORE_FRONTENDS_MAX + (route))

/* The route serves the name with this certificate, unless it has one of this kind for the name. */
void store_builder_name(struct store_builder *builder, uint32_t scope, uint32_t route,
                        const char *name, uint32_t certificate);

/* Where the certificates for a given name come from. */
struct store_origin {
    uint32_t scope;
    uint32_t route; /* STORE_NONE: nowhere, because the route terminates no TLS */
};
/* The route serves the name with the certificates that the origin has for it, or for its wildcard,
 * or else with the default of the origin's route. These certificates have been added before. */
void store_builder_given_name(struct store_builder *builder, uint32_t frontend, uint32_t route,
                              const char *name, const struct store_origin *origin);

/* One more file could not be used. */
void store_builder_note_failure(struct store_builder *builder);

/* Ends the building, even if it fails. Returns the descriptor of the store, or -1 with errno. */
int store_builder_seal(struct store_builder *builder, uint32_t routes);

#endif
