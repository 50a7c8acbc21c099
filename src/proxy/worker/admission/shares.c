#include "proxy/worker/admission/shares.h"

#include <math.h>
#include <stdlib.h>
#include <sys/random.h>

#define WIDE_SHARES_LOG2 4
_Static_assert(WIDE_SHARES == 1 << WIDE_SHARES_LOG2, "the logarithm of the number of shares");

bool shares_open(struct shares *shares, uint64_t now)
{
    *shares = (struct shares){.begun = now, .sets = calloc(SHARES_SETS, sizeof *shares->sets)};
    return shares->sets != NULL &&
           getrandom(&shares->seed, sizeof shares->seed, 0) == sizeof shares->seed;
}

void shares_close(struct shares *shares)
{
    free(shares->sets);
    shares->sets = NULL;
}

/* ---- levels ---- */

static double half_lives(const struct shares *shares, uint64_t now)
{
    return (double)(now - shares->begun) / (double)SHARES_HALF_LIFE;
}

double shares_raised(const struct shares *shares, double level, uint64_t work, uint64_t now)
{
    double added = log2((double)(work > 0 ? work : 1)) + half_lives(shares, now);
    double more = fmax(level, added), less = fmin(level, added);
    return more + log2(1 + exp2(less - more));
}

double shares_cost(const struct shares *shares, double level, uint64_t now)
{
    return exp2(level - half_lives(shares, now));
}

double shares_level(const struct shares *shares, const struct share *share, uint64_t wide)
{
    const struct share *around = wide != PREFIX_NONE ? shares_find(shares, wide) : NULL;
    return around != NULL ? fmax(share->level, around->level - WIDE_SHARES_LOG2) : share->level;
}

/* ---- the table ---- */

static struct shares_set *set_of(const struct shares *shares, uint64_t prefix)
{
    return &shares->sets[prefix_hash(&shares->seed, prefix) % SHARES_SETS];
}

static bool is_held(const struct share *share)
{
    for (int at = 0; at < HELD_AT_COUNT; at++)
        if (share->lines[at].length > 0)
            return true;
    return false;
}

struct share *shares_find(const struct shares *shares, uint64_t prefix)
{
    struct shares_set *set = set_of(shares, prefix);
    for (int way = 0; way < SHARES_WAYS; way++)
        if (set->prefixes[way] == prefix)
            return &set->of[way];
    return NULL;
}

/* A place that is free or, if there is none, the one that has had least. */
static int least_way(const struct shares_set *set, bool held)
{
    int least = -1;
    for (int way = 0; way < SHARES_WAYS; way++) {
        if (set->prefixes[way] == PREFIX_NONE)
            return way;
        if ((held || !is_held(&set->of[way])) &&
            (least < 0 || set->of[way].level < set->of[least].level))
            least = way;
    }
    return least;
}

struct share *shares_take(struct shares *shares, uint64_t prefix)
{
    struct share *share = shares_find(shares, prefix);
    if (share != NULL)
        return share;
    struct shares_set *set = set_of(shares, prefix);
    int way = least_way(set, false);
    if (way < 0)
        return &set->of[least_way(set, true)];
    share = &set->of[way];
    set->prefixes[way] = prefix;
    share->level = 0;
    for (int at = 0; at < HELD_AT_COUNT; at++) {
        share->lines[at] = (struct held_line){.share = share};
        list_init(&share->lines[at].visits);
    }
    return share;
}

/* The least of the heaviest gives way. */
static void note_heavy(struct shares *shares, uint64_t prefix, double level)
{
    int least = 0;
    for (int i = 0; i < SHARES_HEAVIEST; i++) {
        if (shares->heaviest[i].prefix == prefix) {
            shares->heaviest[i].level = level;
            return;
        }
        if (shares->heaviest[i].level < shares->heaviest[least].level)
            least = i;
    }
    if (level <= shares->heaviest[least].level)
        return;
    shares->heaviest[least].prefix = prefix;
    shares->heaviest[least].level = level;
}

static double charge(struct shares *shares, uint64_t prefix, uint64_t work, uint64_t now)
{
    struct share *share = shares_take(shares, prefix);
    share->level = shares_raised(shares, share->level, work, now);
    return share->level;
}

void shares_charge(struct shares *shares, const struct source *source, uint64_t work, uint64_t now)
{
    note_heavy(shares, source->narrow, charge(shares, source->narrow, work, now));
    if (source->wide != PREFIX_NONE)
        charge(shares, source->wide, work, now);
}
