/*
 * The metrics of all workers that a master has ever had, so that no counter decreases when a worker
 * is replaced.
 *
 * The metrics of one generation's worker threads lie in memory that the master maps, and that all
 * its children share. When a generation has ended, the master adds them to the sum of the past and
 * unmaps the memory.
 *
 * A worker inherits the history as it is at fork(): the past, and the memory of all generations
 * that have not ended. That memory stays mapped in the worker, with its last values, when they end.
 * So a generation that ended before the fork is in the past, one that ends later is in the memory,
 * and none is in both.
 *
 * A worker can write to the memory of others. Nothing but figures is read from there, and they are
 * only displayed.
 */
#ifndef PROXY_SHARED_METRICS_HISTORY_H
#define PROXY_SHARED_METRICS_HISTORY_H

#include "base/list.h"
#include "proxy/shared/metrics_sum.h"

struct metrics_history {
    struct metrics_sum past; /* the sum of all generations that have ended, without gauges */
    struct list generations; /* struct generation_metrics */
};

/* The metrics of one generation's successive workers. */
struct generation_metrics {
    struct list node;
    unsigned thread_count;
    struct metrics_memory *memory;
};

void metrics_history_init(struct metrics_history *history);
/*
 * Sums up what a worker shows: the metrics so far of the generation `own` (NULL: the last) and of
 * those before it, into an empty `sum`. False: out of memory.
 *
 * During a reload two workers answer on the same address, and the older one cannot see the newer
 * one's memory. So the newer one adds its own metrics only when no older one answers any more;
 * otherwise a counter would seem to decrease whenever the older one answers.
 */
bool metrics_history_sum(const struct metrics_history *history,
                         const struct generation_metrics *own, struct metrics_sum *sum);
/* The worker calls this when it starts or stops showing such sums. */
void generation_metrics_shown(const struct generation_metrics *own, bool shown);
/* How many workers are draining, and their connections. */
struct metrics_draining {
    unsigned workers;
    uint64_t connections;
};
struct metrics_draining metrics_history_draining(const struct metrics_history *history);
/* For a child that is not a worker: unmaps all shared metrics. */
void metrics_history_hide(const struct metrics_history *history);

struct thread_metrics *generation_metrics_thread(const struct generation_metrics *metrics,
                                                 unsigned thread);

/* The functions from here on are for the master only. NULL with errno. */
struct generation_metrics *generation_metrics_new(struct metrics_history *history,
                                                  unsigned thread_count);
/* Notes that the generation's worker is draining. */
void generation_metrics_drain(struct generation_metrics *metrics);
/* Notes that the generation's worker and its connections have ended; another may follow. */
void generation_metrics_worker_ended(struct generation_metrics *metrics);
/* Adds the metrics to the past, after the generation's last worker has ended. NULL is allowed. */
void generation_metrics_free(struct metrics_history *history, struct generation_metrics *metrics);

#endif
