/*
 * The handshakes that are held back, and which of them is next.
 *
 * Those that have begun come before those that have not, because their work is lost if their
 * clients give up. The next one is that of the source that will have had least when it is through:
 * what it has had lately and what the handshake is expected to cost. So at equal shares the cheap
 * ones come first. Shares that differ by less than a fifth are equal. Among equals, and within one
 * source, the one that came first is next; but once some have waited for half of the patience, it
 * is the one that came last, because its client is the most likely to be still there.
 *
 * Sources are in heaps by that figure, one for each place where handshakes are held back. It grows,
 * and is corrected when a source gets to the top. Nothing looks at all that waits.
 */
#ifndef PROXY_WORKER_ADMISSION_ORDER_H
#define PROXY_WORKER_ADMISSION_ORDER_H

#include "proxy/worker/admission/shares.h"

/* A client's way through admission: it belongs to the connection. */
struct visit {
    struct source source;
    bool exempt;            /* of a network that is never held back */
    bool counted;           /* by the limits */
    bool noted;             /* it has been counted as held back */
    bool signs;             /* it has come to the place HELD_SIGNATURE */
    uint64_t since;         /* ns: when its first bytes were there; 0: there are none yet */
    uint64_t held_at;       /* ns: when it was last held back */
    uint64_t expected;      /* ns: what the next part of its handshake will cost */
    uint64_t asked;         /* ns: the cost of the signature that it has asked immured for */
    struct held_line *line; /* where it is held back; NULL: it is not */
    struct list node;
};

struct order {
    struct shares *shares; /* the owner sets this and the next */
    uint64_t patience;     /* ns */
    uint64_t newest_until; /* ns: so long the newest of equals is next */
    struct heap heaps[HELD_AT_COUNT];
    size_t held;
};

/* All zero but for the first two is empty. */
void order_release(struct order *order);
/* Holds it back. False: out of memory. */
bool order_put(struct order *order, struct visit *visit, enum held_at at, uint64_t now);
/* Harmless if it is not held back. */
void order_remove(struct order *order, struct visit *visit, uint64_t now);
/* Takes the next one; `signs`: it may be one that waits for a signature. NULL: there is none. */
struct visit *order_take(struct order *order, bool signs, uint64_t now);
/* Whether order_take() would find one. */
bool order_has_next(const struct order *order, bool signs);
/* One that is given up so that others have room: of a source that has cost much, the one that has
 * waited longest. NULL: there is none. It is still held back. */
struct visit *order_worst(const struct order *order);

#endif
