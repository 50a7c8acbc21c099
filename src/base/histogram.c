#include "base/histogram.h"

#include <stddef.h>

#define UNIT_NS 16
#define LINEAR_BITS 7 /* values below 2^LINEAR_BITS units have a bucket of their own */
#define STEPS 64      /* buckets in each power of two above */
#define LONGEST_NS (UINT64_C(60) * 1000 * 1000 * 1000)

static size_t bucket_of(uint64_t ns)
{
    uint64_t units = (ns < LONGEST_NS ? ns : LONGEST_NS) / UNIT_NS;
    if (units < 1u << LINEAR_BITS)
        return (size_t)units;
    unsigned shift = (unsigned)(64 - LINEAR_BITS - __builtin_clzll(units));
    return (size_t)(shift * STEPS + (units >> shift));
}

/* The middle of a bucket, in ns. */
static uint64_t value_of(size_t bucket)
{
    if (bucket < 1u << LINEAR_BITS)
        return bucket * UNIT_NS + UNIT_NS / 2;
    size_t shift = bucket / STEPS - 1;
    uint64_t units = (uint64_t)(bucket - shift * STEPS) << shift;
    return units * UNIT_NS + ((uint64_t)UNIT_NS << shift) / 2;
}

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* There is one writer, so a load and a store suffice in place of a locked add. */
static void add(_Atomic uint64_t *value, uint64_t amount)
{
    atomic_store_explicit(value, load(value) + amount, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *value, uint64_t candidate)
{
    if (candidate > load(value))
        atomic_store_explicit(value, candidate, memory_order_relaxed);
}

void histogram_record(struct histogram *histogram, uint64_t ns)
{
    add(&histogram->counts[bucket_of(ns)], 1);
    add(&histogram->sum, ns);
    raise_to(&histogram->max, ns);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        add(&into->counts[i], load(&from->counts[i]));
    add(&into->sum, load(&from->sum));
    raise_to(&into->max, load(&from->max));
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += load(&histogram->counts[i]);
    return count;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    uint64_t count = histogram_count(histogram);
    if (count == 0)
        return 0;
    double wanted = quantile * (double)count;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += load(&histogram->counts[i]);
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t value = value_of(i), max = load(&histogram->max);
            return value < max ? value : max;
        }
    }
    return load(&histogram->max);
}

uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t ns)
{
    uint64_t count = 0;
    for (size_t i = 0, last = bucket_of(ns); i <= last; i++)
        count += load(&histogram->counts[i]);
    return count;
}
