/*
 * X25519 key pairs made ahead, eight at a time. Each is taken once and wiped here; the pages are
 * left out of core dumps and are empty in a forked child.
 */
#ifndef HANDSHAKE_PAIRS_H
#define HANDSHAKE_PAIRS_H

#include "handshake/plain.h"

struct pairs;

/* NULL: one line in `reason`. */
struct pairs *pairs_new(OSSL_LIB_CTX *context, const struct lanes *lanes, char *reason,
                        size_t size);
/* NULL is allowed. */
void pairs_free(struct pairs *pairs);

/* False: out of randomness. */
bool pairs_take(struct pairs *pairs, struct key_pair *pair);

#endif
