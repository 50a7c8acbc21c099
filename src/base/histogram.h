/*
 * A log-linear histogram of durations: 1 us to 60 s in fixed memory, every value kept with a
 * relative error below 1 %, all values counted and none averaged.
 *
 * Values are nanoseconds. Below 128 units of 16 ns each bucket is one unit wide
 * (so 1 us is 62 units: error of half a unit, 0.8 %); above, every power of two is cut into 64
 * buckets, and a value is reported as the middle of its bucket: at most 1/128 off. Longer ones
 * count as the longest. (The idea: G. Tene's HdrHistogram.)
 *
 * One thread writes; others may read and merge at the same time: they see each count at some recent
 * state. Written without locks or locked instructions.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 1712

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum; /* ns */
    _Atomic uint64_t max; /* ns, exact */
};

void histogram_record(struct histogram *histogram, uint64_t ns);
/* Adds what `from` holds to `into`, which no other thread uses. */
void histogram_merge(struct histogram *into, const struct histogram *from);
uint64_t histogram_count(const struct histogram *histogram);
/*
 * The smallest recorded value (ns, within 1 %) that at least `quantile` (0 to 1) of all values do
 * not pass; 0 when empty. The caller decides whether there are enough values for it to mean
 * something.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
/* How many values were at most `ns` (at the resolution of the buckets). */
uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t ns);

#endif
