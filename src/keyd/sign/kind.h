/*
 * A kind of key: keys whose signatures cost the same and may share a batch. The queue has a line
 * for each. What signs one job alone, and what signs many together, is decided for the kind when
 * immured starts, by measurement (calibrate.h); afterwards a kind is only read, by any thread.
 */
#ifndef KEYD_SIGN_KIND_H
#define KEYD_SIGN_KIND_H

#include "base/clock.h"
#include "keyd/keys/key.h"
#include "keyd/rules/share.h"
#include "keyd/sign/driver.h"

#define KINDS_MAX SHARE_LINES_MAX

/* How long one signature alone takes, as measured. */
enum cost {
    COST_QUICK, /* up to KIND_QUICK: the event loop makes a few itself */
    COST_CHEAP, /* up to KIND_CHEAP */
    COST_DEAR,
    COST_CLASSES
};
#define KIND_QUICK (50 * NS_PER_US)
#define KIND_CHEAP (200 * NS_PER_US)

struct kind {
    size_t index;
    enum wire_key_type type;
    int bits;
    const struct driver *wanted; /* as configured; NULL: auto */

    const struct driver *single; /* signs what is too little for a batch */
    const struct driver *batch;  /* NULL: nothing is better than `single` */
    size_t threshold, width;     /* `batch` takes so many jobs at once, from .. to */
    size_t small_width;          /* a batch of up to so many takes small_ns, of more batch_ns */
    size_t full_from;            /* when fewer wait, a batch takes no more than small_width */
    size_t hold_for;             /* jobs: to wait for more makes none of them cheaper */
    size_t single_width;         /* so many `single` takes */
    uint64_t single_ns;          /* CPU or waiting time: of one signature */
    enum cost cost;              /* by single_ns */
    uint64_t small_ns, batch_ns; /* of a batch */
};

struct kinds {
    struct kind kinds[KINDS_MAX];
    size_t count;
    const struct driver *const *drivers; /* ended by NULL; the first is libcrypto */
};

/* Finds or makes the key's kind and prepares the key for what may sign it; `wanted` NULL: auto.
 * False: one line in `reason`. */
bool kinds_add_key(struct kinds *kinds, struct key *key, const struct driver *wanted, char *reason,
                   size_t size);

/* The system calls of all that sign keys of these kinds, each once, ended by -1; room for so many.
 */
void kinds_gather_calls(const struct kinds *kinds, int *calls, size_t room);

/* One signature by `single` takes so long: what follows from that. */
void kind_measured(struct kind *kind, uint64_t single_ns);

/* What signs a batch of so many. */
const struct driver *kind_driver(const struct kind *kind, size_t count);
/* How many of so many waiting jobs one signer takes at once. */
size_t kind_take(const struct kind *kind, size_t waiting);
/* What a batch of so many takes, ns. */
uint64_t kind_time(const struct kind *kind, size_t count);
/* An estimate for one more job when many wait, ns. */
uint64_t kind_cost(const struct kind *kind);
/* "RSA-2048", "P-256", "Ed25519", into `text`. */
void kind_describe(const struct kind *kind, char *text, size_t size);

#endif
