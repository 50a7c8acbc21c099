/*
 * A kind of key: keys whose signatures cost the same and may share a batch. The queue has a line
 * for each. Which driver signs one job alone, and which signs many together, is decided for each
 * kind when immured starts, by measurement (calibrate.h). Afterwards any thread may read a kind,
 * and none changes it.
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
    COST_QUICK, /* up to KIND_QUICK: the event loop makes a few of these itself */
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
    size_t threshold, width;     /* the least and greatest number of jobs that `batch` takes */
    size_t small_width;          /* the greatest size of a batch that takes small_ns */
    size_t full_from;            /* when fewer wait, a batch takes no more than small_width */
    size_t hold_for;             /* `hold` waits for so many jobs; more save too little */
    size_t single_width;         /* the greatest number of jobs that `single` takes at once */
    uint64_t single_ns;          /* of one signature: CPU time, or waiting time for a device */
    enum cost cost;              /* by single_ns */
    const struct key *sample;    /* a complete key of the kind, for the tests at the start */
    uint64_t small_ns, batch_ns; /* of a batch: up to small_width, and above */
};

struct kinds {
    struct kind kinds[KINDS_MAX];
    size_t count;
    const struct driver *const *drivers; /* ended by NULL; the first is libcrypto */
};

/* Finds or makes the key's kind, and prepares the key for the drivers that may sign with it.
 * `wanted` NULL: auto. False: one line in `reason`. */
bool kinds_add_key(struct kinds *kinds, struct key *key, const struct driver *wanted, char *reason,
                   size_t size);

/* The kind of such keys in memory; NULL: there is none yet. `wanted` as above. */
const struct kind *kinds_find(const struct kinds *kinds, enum wire_key_type type, int bits,
                              const struct driver *wanted);

/* Makes a kind at run time, with which libcrypto signs. NULL: there are too many. */
const struct kind *kinds_add_unmeasured(struct kinds *kinds, enum wire_key_type type, int bits);

/* The system calls of all drivers of these kinds, each once, ended by -1; `calls` has `room`. */
void kinds_gather_calls(const struct kinds *kinds, int *calls, size_t room);

/* Sets what follows from the time of one signature by `single`. */
void kind_measured(struct kind *kind, uint64_t single_ns);

/* The driver that signs a batch of `count` jobs. */
const struct driver *kind_driver(const struct kind *kind, size_t count);
/* How many of the waiting jobs one signer takes at once. */
size_t kind_take(const struct kind *kind, size_t waiting);
/* The expected time of a batch of `count` jobs, ns. */
uint64_t kind_time(const struct kind *kind, size_t count);
/* The expected time of one more job when many wait, ns. */
uint64_t kind_cost(const struct kind *kind);
/* Writes "RSA-2048", "P-256", "Ed25519" or the like into `text`. */
void kind_describe(const struct kind *kind, char *text, size_t size);

#endif
