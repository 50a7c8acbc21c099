/*
 * What each source has cost lately, in a table of fixed size.
 *
 * A cost halves every SHARES_HALF_LIFE. It is kept as a level: the logarithm (base 2) of its
 * nanoseconds, plus the time in half-lives. All costs fall alike, so levels need not fall: they
 * rise when something is charged, and their order is that of the costs at any time. Nothing runs
 * through the table to make it forget.
 *
 * Why a table with keys, and not a sketch of counters such as count-min: a source is never charged
 * for another. When all places of a set are taken, the source that has had the least is forgotten,
 * which is the one for which that changes least. Clients do not know the seed of the hash, so they
 * cannot choose addresses that meet in one set.
 */
#ifndef PROXY_WORKER_ADMISSION_SHARES_H
#define PROXY_WORKER_ADMISSION_SHARES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "proxy/worker/admission/source.h"

#define SHARES_HALF_LIFE (10 * NS_PER_S)
#define SHARES_SETS 1024
#define SHARES_WAYS 8
#define SHARES_HEAVIEST 3

/* Where a handshake is held back. */
enum held_at {
    HELD_HELLO,     /* before its first step; nobody knows what it will cost */
    HELD_SIGNATURE, /* it needs a certificate, so a key exchange and a signature */
    HELD_AT_COUNT
};

/* The handshakes of a source that are held back at one place, in the order in which they came. */
struct held_line {
    struct share *share;
    struct heap_node node; /* see order.h */
    struct list visits;
    unsigned length;
};

struct share {
    double level; /* 0: it has had nothing */
    struct held_line lines[HELD_AT_COUNT];
};

struct shares_set {
    uint64_t prefixes[SHARES_WAYS]; /* PREFIX_NONE: the place is free */
    struct share of[SHARES_WAYS];
};

struct shares {
    struct prefix_seed seed;
    uint64_t begun; /* ns */
    struct shares_set *sets;
    struct {
        uint64_t prefix;
        double level;
    } heaviest[SHARES_HEAVIEST]; /* that have cost most, in no order; IPv4 or /56 */
};

/* False: out of memory, or no seed. */
bool shares_open(struct shares *shares, uint64_t now);
void shares_close(struct shares *shares);

/* NULL: nothing is known of the prefix. */
struct share *shares_find(const struct shares *shares, uint64_t prefix);
/* Takes up a prefix that is not known. A source of which handshakes are held back is not forgotten;
 * if a whole set has such sources, the prefix shares the place of the one that has had least. */
struct share *shares_take(struct shares *shares, uint64_t prefix);

/* A level that has been charged with this work (ns). */
double shares_raised(const struct shares *shares, double level, uint64_t work, uint64_t now);
/* What is left of the cost (ns). */
double shares_cost(const struct shares *shares, double level, uint64_t now);
void shares_charge(struct shares *shares, const struct source *source, uint64_t work, uint64_t now);
/* The level by which a source is compared with others; `share` is that of its narrow prefix. */
double shares_level(const struct shares *shares, const struct share *share, uint64_t wide);

#endif
