/*
 * A pool of X25519 key pairs, made eight at a time. Each pair is handed out once and wiped here.
 * The pages are excluded from core dumps and are empty in a forked child.
 */
#ifndef HANDSHAKE_PAIRS_H
#define HANDSHAKE_PAIRS_H

#include "handshake/plain.h"

struct pairs;

/* NULL with one line in `reason`. */
struct pairs *pairs_new(OSSL_LIB_CTX *context, const struct lanes *lanes, char *reason,
                        size_t size);
/* NULL is allowed. */
void pairs_free(struct pairs *pairs);

/* False if there is no randomness or the lanes fail. */
bool pairs_take(struct pairs *pairs, struct key_pair *pair);

#endif
