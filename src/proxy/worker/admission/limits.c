#include "proxy/worker/admission/limits.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"

#define ROWS 4
#define PLACES 16384

struct row {
    struct prefix_seed seed;
    atomic_uint open[PLACES];
    /* ns: the time at which all connections so far would have come at the rate (GCRA, ITU-T
     * I.371); it is ahead of the clock by what has come early. */
    _Atomic uint64_t due[PLACES];
};

struct source_limits {
    unsigned connections;
    uint64_t pause; /* ns between connections at the rate; 0: no limit */
    struct row rows[ROWS];
};

/* A prefix, and how many times the limit it may have. */
struct limited_prefix {
    uint64_t prefix;
    unsigned times;
};
#define PREFIXES_MAX 2

struct source_limits *source_limits_new(unsigned connections, unsigned rate)
{
    struct source_limits *limits = calloc(1, sizeof *limits);
    if (limits == NULL)
        return NULL;
    limits->connections = connections;
    limits->pause = rate > 0 ? NS_PER_S / rate : 0;
    for (int i = 0; i < ROWS; i++) {
        struct prefix_seed *seed = &limits->rows[i].seed;
        if (getrandom(seed, sizeof *seed, 0) != sizeof *seed) {
            free(limits);
            return NULL;
        }
    }
    return limits;
}

void source_limits_free(struct source_limits *limits)
{
    free(limits);
}

static size_t place(const struct row *row, uint64_t prefix)
{
    return prefix_hash(&row->seed, prefix) % PLACES;
}

static size_t prefixes_of(const struct source *source, struct limited_prefix of[PREFIXES_MAX])
{
    of[0] = (struct limited_prefix){source->narrow, 1};
    of[1] = (struct limited_prefix){source->wide, WIDE_SHARES};
    return source->wide != PREFIX_NONE ? 2 : 1;
}

/* ---- open connections ---- */

static void give(struct source_limits *limits, uint64_t prefix)
{
    for (int i = 0; i < ROWS; i++) {
        struct row *row = &limits->rows[i];
        atomic_fetch_sub_explicit(&row->open[place(row, prefix)], 1, memory_order_relaxed);
    }
}

static bool take(struct source_limits *limits, const struct limited_prefix *of)
{
    unsigned least = UINT32_MAX;
    for (int i = 0; i < ROWS; i++) {
        struct row *row = &limits->rows[i];
        unsigned had =
            atomic_fetch_add_explicit(&row->open[place(row, of->prefix)], 1, memory_order_relaxed);
        least = had < least ? had : least;
    }
    if (least / of->times < limits->connections)
        return true;
    give(limits, of->prefix);
    return false;
}

void source_limits_give(struct source_limits *limits, const struct source *source)
{
    struct limited_prefix of[PREFIXES_MAX];
    size_t count = prefixes_of(source, of);
    for (size_t i = 0; limits->connections > 0 && i < count; i++)
        give(limits, of[i].prefix);
}

/* ---- their rate ---- */

static uint64_t due(const struct source_limits *limits, uint64_t prefix)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < ROWS; i++) {
        const struct row *row = &limits->rows[i];
        uint64_t at = atomic_load_explicit(&row->due[place(row, prefix)], memory_order_relaxed);
        least = at < least ? at : least;
    }
    return least;
}

static bool comes_too_fast(const struct source_limits *limits, const struct limited_prefix *of,
                           uint64_t now)
{
    uint64_t pause = limits->pause / of->times;
    return due(limits, of->prefix) + pause > now + LIMITS_BURST_S * NS_PER_S;
}

/* Only the places that are behind are moved, so that a place which others share rises as little as
 * possible. Two threads may count one connection at a time. */
static void note_arrival(struct source_limits *limits, const struct limited_prefix *of,
                         uint64_t now)
{
    uint64_t least = due(limits, of->prefix);
    uint64_t next = (least > now ? least : now) + limits->pause / of->times;
    for (int i = 0; i < ROWS; i++) {
        struct row *row = &limits->rows[i];
        _Atomic uint64_t *at = &row->due[place(row, of->prefix)];
        if (atomic_load_explicit(at, memory_order_relaxed) < next)
            atomic_store_explicit(at, next, memory_order_relaxed);
    }
}

/* ---- both ---- */

enum limited source_limits_take(struct source_limits *limits, const struct source *source,
                                uint64_t now)
{
    struct limited_prefix of[PREFIXES_MAX];
    size_t count = prefixes_of(source, of);
    for (size_t i = 0; limits->pause > 0 && i < count; i++)
        if (comes_too_fast(limits, &of[i], now))
            return LIMITED_RATE;
    for (size_t i = 0; limits->connections > 0 && i < count; i++) {
        if (take(limits, &of[i]))
            continue;
        while (i-- > 0)
            give(limits, of[i].prefix);
        return LIMITED_CONNECTIONS;
    }
    for (size_t i = 0; limits->pause > 0 && i < count; i++)
        note_arrival(limits, &of[i], now);
    return LIMITED_NOT;
}
