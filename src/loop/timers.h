/*
 * The timers of a loop, of any duration: a heap in the order of their expiry.
 *
 * Most timers never expire: they are postponed again and again, and stopped in the end. So
 * postponing one only notes the new time, and its place in the heap is corrected when the old time
 * comes. Starting, stopping and correcting take O(log n), postponing O(1).
 *
 * Users of a loop start and stop their timers with the functions in loop/loop.h.
 */
#ifndef LOOP_TIMERS_H
#define LOOP_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"

struct timer {
    struct heap_node node; /* under the time at which it is looked at, never later than `expires` */
    struct list unplaced;
    uint64_t expires; /* ns */
    /* May start it again, and stop or free any timer. May be replaced while the timer runs. */
    void (*expired)(struct timer *timer);
};

struct timers {
    struct heap heap;
    /* Those for which the heap had no memory. They expire at once: a connection whose timeout
     * cannot be kept ends early, and does not stay for ever. */
    struct list unplaced;
};

void timer_init(struct timer *timer, void (*expired)(struct timer *timer));
/* Started, and neither stopped nor expired since. */
bool timer_is_running(const struct timer *timer);

void timers_init(struct timers *timers);
/* The timers themselves are their owners'. */
void timers_release(struct timers *timers);
/* Starts the timer, or postpones or advances one that runs. */
void timers_start(struct timers *timers, struct timer *timer, uint64_t expires);
void timers_stop(struct timers *timers, struct timer *timer);
/* When there is something for timers_run() to do: the first timer expires, or its place is to be
 * corrected. UINT64_MAX: no timer runs. */
uint64_t timers_next(const struct timers *timers);
/* One operation: calls expired() for one timer, which is stopped before, or corrects the place of
 * one. False: there is nothing to do before timers_next(). */
bool timers_run(struct timers *timers, uint64_t now);

#endif
