/*
 * The timers of a loop, of any duration: a heap ordered by their expiry.
 *
 * Most timers never expire: they are postponed again and again, and stopped in the end. Postponing
 * a timer therefore only notes the new time; its place in the heap is corrected when the old time
 * comes. Starting, stopping and correcting take O(log n), postponing O(1).
 *
 * Users of a loop start and stop their timers with the functions of loop/loop.h.
 */
#ifndef LOOP_TIMERS_H
#define LOOP_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"

struct timer {
    struct heap_node node; /* its key, the time of the next check, is never later than `expires` */
    struct list unplaced;
    uint64_t expires; /* ns */
    /* May restart the timer, and stop or free any timer. May be replaced while the timer runs. */
    void (*expired)(struct timer *timer);
};

struct timers {
    struct heap heap;
    /* Timers for which the heap had no memory. They expire at once, because a connection that ends
     * early is better than one without a timeout, which could stay for ever. */
    struct list unplaced;
};

void timer_init(struct timer *timer, void (*expired)(struct timer *timer));
/* Whether the timer was started, and has neither been stopped nor expired since. */
bool timer_is_running(const struct timer *timer);

void timers_init(struct timers *timers);
/* Frees the heap; the timers belong to their owners. */
void timers_release(struct timers *timers);
/* Starts the timer, or postpones or advances one that runs. */
void timers_start(struct timers *timers, struct timer *timer, uint64_t expires);
void timers_stop(struct timers *timers, struct timer *timer);
/* Returns when timers_run() has to run next, because a timer expires or its place has to be
 * corrected. UINT64_MAX: no timer runs. */
uint64_t timers_next(const struct timers *timers);
/* Does one operation: stops one timer and calls its expired(), or corrects the place of one. False:
 * there is nothing to do before timers_next(). */
bool timers_run(struct timers *timers, uint64_t now);

#endif
