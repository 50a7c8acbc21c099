/*
 * Timers of a few fixed durations: one queue a duration, in which timers are in the order of their
 * expiry by nature, so that setting, moving and cancelling one is O(1).
 */
#ifndef PROXY_WORKER_CORE_TIMER_H
#define PROXY_WORKER_CORE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct timer {
    struct list node;
    uint64_t expires; /* ns */
};

struct timer_queue {
    uint64_t duration; /* ns */
    void (*expired)(struct timer *timer);
    struct list timers;
};

void timer_queue_init(struct timer_queue *queue, uint64_t duration,
                      void (*expired)(struct timer *timer));
/* Starts the timer, or starts it anew, in whichever queue it was. */
void timer_start(struct timer_queue *queue, struct timer *timer, uint64_t now);
void timer_stop(struct timer *timer);
/* When the first expires; UINT64_MAX if none is running. */
uint64_t timer_queue_next(const struct timer_queue *queue);
/* Calls expired() for the first, if it has; it is stopped before. False: none has. */
bool timer_queue_run(struct timer_queue *queue, uint64_t now);

#endif
