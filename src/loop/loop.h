/*
 * The event loop of one thread: watched descriptors, timers, and work for the end of a turn. Most
 * programs only need loop_run(). A program whose turns have other phases, each with a budget,
 * builds its turns from the functions that follow it.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "loop/timers.h"

/* The most events that one look returns. */
#define LOOP_EVENTS 128

struct loop {
    int epoll;            /* the epoll set of all watches */
    int between;          /* the epoll set for loop_look_between() */
    size_t between_count; /* watches in it; with 0 that look can be skipped */
    uint64_t now;         /* CLOCK_MONOTONIC, ns: at the last look, or as the owner has set it */
    struct timers timers;
    struct list work;
    bool exact; /* waits with the precision of epoll_pwait2(2): nanoseconds, not milliseconds */
    bool stopped;
};

/* False with errno. */
bool loop_open(struct loop *loop);
/* Watches and timers of the loop must not be used afterwards. */
void loop_close(struct loop *loop);
/* Runs turns until loop_stop(): one look for events, then expired timers, then work. */
void loop_run(struct loop *loop);
/* Ends loop_run() after this turn. */
void loop_stop(struct loop *loop);

/* ---- for programs that build their own turns ---- */

/* Returns when the loop must run next even without an event: at the next timer, or at once (0) if
 * work is queued. */
uint64_t loop_deadline(const struct loop *loop);
/* Waits for events, at most until `until`, and calls ready() of their watches. Returns the number
 * of events; if it is LOOP_EVENTS there may be more. */
int loop_look(struct loop *loop, uint64_t until);
/* The same for the watches of watch_between(), without waiting. */
int loop_look_between(struct loop *loop);
/* Runs timers that have expired, within a budget; the others run in the next turn. */
void loop_run_timers(struct loop *loop);
void loop_run_work(struct loop *loop);

/* ---- watches ---- */

/* How a descriptor's events are reported. */
enum watch_trigger {
    WATCH_LEVEL, /* an event is reported in each turn until it has been served */
    /* An event is reported once, so ready() has to read until nothing is left. Descriptors that
     * wait to be served cost nothing meanwhile, however many there are. */
    WATCH_EDGE
};

/* A descriptor in the loop. The kernel is told of additional wanted events at once, but of fewer
 * only after an unwanted event has arrived for the second time: a short connection saves that
 * system call. */
struct watch {
    int descriptor; /* -1: none */
    enum watch_trigger trigger;
    bool between;  /* it is in the loop's `between` set, too */
    bool changed;  /* the kernel has not been told of the new trigger yet */
    bool unwanted; /* an event that is no longer wanted has arrived once */
    uint32_t registered, wanted;
    void (*ready)(struct watch *watch, uint32_t events);
};

void watch_init(struct watch *watch, void (*ready)(struct watch *watch, uint32_t events));
/* Takes over the descriptor; the first watch_want() registers it. */
void watch_open(struct watch *watch, int descriptor, enum watch_trigger trigger);
/* Makes the watch level-triggered; no events are wanted until the next watch_want(). */
void watch_level(struct watch *watch);
/* Lets loop_look_between() see the watch's events, too. This costs a system call, so it is meant
 * for long-lived connections. An event that is not served is reported again in the next turn. */
void watch_between(struct loop *loop, struct watch *watch);
/* Sets which epoll events lead to ready(). EPOLLERR and EPOLLHUP always do, unless `events` is 0.
 * False with errno, logged: the kernel has no memory for another watch. */
bool watch_want(struct loop *loop, struct watch *watch, uint32_t events);
/* Events of this look may still refer to the watch, so its struct must not be freed before the end
 * of the turn. */
void watch_close(struct loop *loop, struct watch *watch);
/* The same in a program that forks: a copy of the descriptor in a child, which may exist for a
 * moment, would otherwise keep the watch in the epoll set. */
void watch_close_shared(struct loop *loop, struct watch *watch);
/* The same, but returns the descriptor, which stays open and belongs to the caller. */
int watch_release(struct loop *loop, struct watch *watch);

/* ---- timers ---- */

/* Starts or restarts the timer; timer_init() is in loop/timers.h. Durations count from loop->now. A
 * timer that is started with a time in the past expires after loop->now has moved on, so a timer
 * that restarts itself cannot keep the loop busy within one turn. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t duration);
/* The same with a time of CLOCK_MONOTONIC; UINT64_MAX: never. */
void timer_start_at(struct loop *loop, struct timer *timer, uint64_t expires);
void timer_stop(struct loop *loop, struct timer *timer);

/* ---- work for the end of a turn, when no event refers to what it frees ---- */

struct work {
    struct list node;
    void (*run)(struct work *work); /* may free it */
};

void work_init(struct work *work, void (*run)(struct work *work));
/* Queues the work, unless it is queued already. What other work queues waits for the end of the
 * next turn. */
void work_queue(struct loop *loop, struct work *work);
void work_drop(struct work *work);

#endif
