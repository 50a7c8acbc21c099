/*
 * One compact key of each kind is complete from the start, so that its kind can be measured and
 * tried out like those of other keys. Afterwards it is in the cache like any other.
 */
#ifndef KEYD_SIGN_COMPACT_SAMPLES_H
#define KEYD_SIGN_COMPACT_SAMPLES_H

#include "keyd/keys/keyring.h"
#include "keyd/sign/kind.h"
#include "keyd/sign/opener.h"

struct compact_samples {
    const struct key *keys[KINDS_MAX];
    size_t count;
};

/* Gives every compact key its kind, and drops those that are in a section `key` too. A key that
 * cannot be used is logged and left out. False: out of memory; reason logged. */
bool samples_find(struct compact_samples *samples, struct keyring *keyring, struct kinds *kinds,
                  const struct driver *wanted);
/* The tests at the start are over. */
void samples_release(struct compact_samples *samples, struct compact_keys *keys);

#endif
