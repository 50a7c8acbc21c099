/*
 * The event loop of one thread: descriptors that are watched, timers, and work for the end of a
 * turn. loop_run() is all that most programs need. A program whose turns have phases of its own
 * makes them of the functions below it, and a budget for each.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "loop/timers.h"

/* The most events of one look. */
#define LOOP_EVENTS 128

struct loop {
    int epoll;            /* all watches */
    int between;          /* the epoll set of those that are also looked at within a turn */
    size_t between_count; /* of these; none: that look can be left out */
    uint64_t now;         /* CLOCK_MONOTONIC, ns: of the last look, or as its owner has set it */
    struct timers timers;
    struct list work;
    bool exact; /* waits end to the nanosecond, which takes epoll_pwait2(2), not the millisecond */
    bool stopped;
};

/* False with errno. */
bool loop_open(struct loop *loop);
/* What is in it must not be used any more. */
void loop_close(struct loop *loop);
/* Turns until loop_stop(): one look, then timers that have expired, then work. */
void loop_run(struct loop *loop);
/* After this turn. */
void loop_stop(struct loop *loop);

/* ---- for turns of one's own ---- */

/* When the loop has something to do even if no event comes: the next timer, or 0 if work waits. */
uint64_t loop_deadline(const struct loop *loop);
/* Waits until then for events, unless there are some already, and tells the watches of them.
 * Returns how many there were; when it is LOOP_EVENTS there may be more. */
int loop_look(struct loop *loop, uint64_t until);
/* The same for those of watch_between(), without waiting. */
int loop_look_between(struct loop *loop);
/* Timers that have expired, up to a budget; what is left comes in the next turn. */
void loop_run_timers(struct loop *loop);
void loop_run_work(struct loop *loop);

/* ---- watches ---- */

/* How the loop looks at a descriptor, once a turn. */
enum watch_trigger {
    WATCH_LEVEL, /* what is not served yet is told again */
    /* Told once, so whoever is told must read until nothing is left. Many may wait to be served,
     * and none of them costs anything meanwhile. */
    WATCH_EDGE
};

/* A descriptor in the loop. What is wanted grows at once, and shrinks only when unwanted events
 * really come, and a second time, so that a short connection does not pay for it. */
struct watch {
    int descriptor; /* -1: none */
    enum watch_trigger trigger;
    bool between;  /* it is looked at within a turn, too */
    bool changed;  /* its trigger, which the kernel does not know yet */
    bool unwanted; /* an event has come that is not wanted any more */
    uint32_t registered, wanted;
    void (*ready)(struct watch *watch, uint32_t events);
};

void watch_init(struct watch *watch, void (*ready)(struct watch *watch, uint32_t events));
/* Takes the descriptor over; the first watch_want() registers it. */
void watch_open(struct watch *watch, int descriptor, enum watch_trigger trigger);
/* From now on it is level-triggered, and nothing is wanted of it. */
void watch_level(struct watch *watch);
/* From now on loop_look_between() sees its events, too. That costs a system call, so it is for
 * those that stay. What is not served then is told again at the next turn. */
void watch_between(struct loop *loop, struct watch *watch);
/* Which epoll events lead to ready(); EPOLLERR and EPOLLHUP always do unless events is 0. False
 * with errno, logged: the kernel has no room for another watch. */
bool watch_want(struct loop *loop, struct watch *watch, uint32_t events);
/* Events of this look may still name it: the struct is freed at the end of the turn, not before. */
void watch_close(struct loop *loop, struct watch *watch);
/* The same in a program that forks. Another process may have a copy of the descriptor for a moment,
 * and would keep the watch in the loop. */
void watch_close_shared(struct loop *loop, struct watch *watch);
/* The same, but the descriptor stays open and is the caller's. */
int watch_release(struct loop *loop, struct watch *watch);

/* ---- timers ---- */

/* Starts the timer, or starts it anew; timer_init() is in loop/timers.h. Durations count from
 * loop->now. One that is over already expires in the next turn, whoever starts it. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t duration);
/* The same at a time of CLOCK_MONOTONIC; UINT64_MAX: never. */
void timer_start_at(struct loop *loop, struct timer *timer, uint64_t expires);
void timer_stop(struct loop *loop, struct timer *timer);

/* ---- work for the end of a turn, when no event names what is freed ---- */

struct work {
    struct list node;
    void (*run)(struct work *work); /* may free it */
};

void work_init(struct work *work, void (*run)(struct work *work));
/* Once, however often it is called. Work that is queued by work waits for the next turn's end. */
void work_queue(struct loop *loop, struct work *work);
void work_drop(struct work *work);

#endif
