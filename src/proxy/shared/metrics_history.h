/*
 * The metrics of all workers that a master has ever had, so that no figure falls when a worker is
 * followed by another.
 *
 * What the threads of one generation's workers count lies in memory that the master maps, and that
 * all its children share. When a generation has ended, the master folds that memory into the sum of
 * the past and unmaps it.
 *
 * A worker gets the history by fork, as it is then: the past, and the memory of all generations
 * that had not ended. That stays mapped in it, with its last values, when they have. So whatever
 * ends before the fork is in the past, whatever ends later is in the memory, and nothing is in
 * both.
 *
 * A worker can write to the memory of others: nothing is taken from there but figures, and they are
 * for people to look at only.
 */
#ifndef PROXY_SHARED_METRICS_HISTORY_H
#define PROXY_SHARED_METRICS_HISTORY_H

#include "base/list.h"
#include "proxy/shared/metrics_sum.h"

struct metrics_history {
    struct metrics_sum past; /* of generations that have ended; without gauges */
    struct list generations; /* struct generation_metrics */
};

/* The metrics of one generation's workers, one after the other. */
struct generation_metrics {
    struct list node;
    unsigned thread_count;
    struct metrics_memory *memory;
};

void metrics_history_init(struct metrics_history *history);
/*
 * What a worker shows: into `sum`, which holds nothing, all that has been counted by now, by the
 * generation `own` (NULL: the last) and by those before it. False: no memory.
 *
 * During a reload two workers answer on the same address, and the older one does not know of the
 * newer one's memory. So the newer one adds its own only when no older one answers any more;
 * otherwise a figure would fall when the older one answers once again.
 */
bool metrics_history_sum(const struct metrics_history *history,
                         const struct generation_metrics *own, struct metrics_sum *sum);
/* Its worker begins, or has ceased, to show such sums. In the worker. */
void generation_metrics_shown(const struct generation_metrics *own, bool shown);
/* How many workers drain, and the connections that they have. */
struct metrics_draining {
    unsigned workers;
    uint64_t connections;
};
struct metrics_draining metrics_history_draining(const struct metrics_history *history);
/* In a child that is no worker: unmaps all memory that workers count in. */
void metrics_history_hide(const struct metrics_history *history);

struct thread_metrics *generation_metrics_thread(const struct generation_metrics *metrics,
                                                 unsigned thread);

/* What follows is the master's. NULL with errno. */
struct generation_metrics *generation_metrics_new(struct metrics_history *history,
                                                  unsigned thread_count);
/* Its worker drains. */
void generation_metrics_drain(struct generation_metrics *metrics);
/* Its worker has ended, with its connections; another may go on. */
void generation_metrics_worker_ended(struct generation_metrics *metrics);
/* When none runs any more: what they counted is the past's. NULL is allowed. */
void generation_metrics_free(struct metrics_history *history, struct generation_metrics *metrics);

#endif
