/*
 * A log-linear histogram of durations: 1 us to 60 s in fixed memory, with a relative error below 1
 * %. Every value is counted and none is averaged.
 *
 * Values are nanoseconds. Below 128 units of 16 ns each bucket is one unit wide (so 1 us is 62
 * units: error of half a unit, 0.8 %); above, every power of two is cut into 64 buckets, and a
 * value is reported as the middle of its bucket: at most 1/128 off. Longer durations count as 60 s.
 * (After G. Tene's HdrHistogram.)
 *
 * One thread writes, without locks or locked instructions. Others may read and merge at the same
 * time, and see a recent value of each count.
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
/* Adds the counts of `from` to `into`, which no other thread may use. */
void histogram_merge(struct histogram *into, const struct histogram *from);
uint64_t histogram_count(const struct histogram *histogram);
/*
 * The smallest value (ns, within 1 %) that at least `quantile` (0 to 1) of all values do not
 * exceed; 0 when empty. The caller decides whether there are enough values for it to be meaningful.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
/* The number of values that were at most `ns`, at the resolution of the buckets. */
uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t ns);

#endif
