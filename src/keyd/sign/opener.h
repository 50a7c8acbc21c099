/*
 * Makes a compact key complete when a job needs it: decodes it, compares its public half with its
 * id, signs once to see that the halves agree, and has the driver of its kind prepare it. That
 * takes a few hundred microseconds the first time, and a proof of it spares most of that later. So
 * threads do it and never the event loop, and the complete key stays in a cache
 * (keyd/keys/compact.h).
 *
 * Only one thread at a time may use an opener.
 */
#ifndef KEYD_SIGN_OPENER_H
#define KEYD_SIGN_OPENER_H

#include "keyd/keys/compact.h"

struct opener {
    struct der_reader *reader; /* NULL: it was not needed yet */
};

enum opener_result {
    OPENER_GOOD,
    OPENER_DAMAGED,  /* and this was logged, once for each key */
    OPENER_NO_MEMORY /* now; another time it may do */
};

/* *ready: the key itself unless it is compact, else its complete form. */
enum opener_result opener_open(struct opener *opener, const struct key *key,
                               const struct key **ready);
void opener_release(struct opener *opener);

#endif
