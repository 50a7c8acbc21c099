/*
 * Sums of the metrics of many threads. A sum lies in the caller's own memory. Its texts and the
 * number of its rows are bounded, whatever the threads' shared memory contains.
 */
#ifndef PROXY_SHARED_METRICS_SUM_H
#define PROXY_SHARED_METRICS_SUM_H

#include <stdbool.h>

#include "proxy/shared/metrics.h"

/* Signatures of one algorithm by one backend. */
struct sign_sum {
    const char *algorithm; /* a literal */
    char backend[SIGN_BACKEND_SIZE + 1];
    struct histogram sign, queue, round_trip;
    uint64_t last_sign, last_at; /* ns */
    uint64_t errors;
};
/* More than there are combinations of algorithms and backends. Further ones are left out. */
#define SIGN_SUMS_MAX 128

struct metrics_sum {
    uint64_t gauges[GAUGE_COUNT];
    uint64_t counters[COUNTER_COUNT];
    uint64_t handshakes[VERSION_COUNT][HANDSHAKE_RESULT_COUNT];
    uint64_t ends[CONNECTION_END_COUNT];
    struct histogram turn, turn_cpu, handshake;
    struct sign_sum *signs;
    size_t sign_count;
};

/* An all-zero struct is an empty sum. False: out of memory for a row of signatures; the rest was
 * added. */
bool metrics_sum_add_thread(struct metrics_sum *sum, const struct thread_metrics *thread);
/* Copies `from` to an empty `sum`. False: out of memory for the signatures. */
bool metrics_sum_copy(struct metrics_sum *sum, const struct metrics_sum *from);
/* Frees its rows. */
void metrics_sum_release(struct metrics_sum *sum);

uint64_t metrics_gauge(const struct thread_metrics *thread, enum metrics_gauge gauge);
/* Sets all gauges of a thread that has ended to zero. */
void metrics_clear_gauges(struct thread_metrics *thread);

#endif
