/*
 * The event loop of one thread, and what a turn of it is:
 *
 *   1. collect events; they only queue steps;
 *   2. steps of established connections, in turn, until their budget is spent;
 *   3. steps of handshakes and listeners, one at a time, finishing before beginning, beginning
 *      before accepting, until theirs is spent; between them the loop looks for established
 *      connections again and serves those, from what is left of their budget;
 *   4. one flush of all signing requests that the steps made;
 *   5. timers and closing, within a budget of their own.
 *
 * What is left waits for the next turn, behind the others. So a turn is never longer than its
 * budgets and one step of each kind. Its time goes into two histograms: wall time, and the time
 * that the thread had the CPU (of turns under half a millisecond wall time too, as the clock of the
 * CPU costs a system call; of longer ones up to a quarter of a millisecond more than it was).
 *
 * Established connections are served by deficit round robin (Shreedhar and Varghese, 1995) on the
 * time that their steps take, with a list for those that have used little lately, as FQ-CoDel
 * (RFC 8290, section 4.2) has it: a short request does not wait behind bulk transfers.
 *
 * Source: the overload experiments in docs/performance.md show why asynchronous signing alone
 * protects nobody: key exchange and accepting must wait their turn too.
 */
#ifndef PROXY_WORKER_CORE_LOOP_H
#define PROXY_WORKER_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/list.h"
#include "proxy/worker/core/timer.h"

/* Of those behind: the deepest deficit is made up in one fewer. */
#define LOOP_ROUNDS 6

/* How the loop looks at a descriptor, once a turn. */
enum watch_trigger {
    WATCH_LEVEL, /* what is not served yet is told again */
    /* Told once, so whoever is told must read until nothing is left. Many may wait for their step,
     * and none of them costs anything meanwhile. */
    WATCH_EDGE
};

/* A descriptor in the loop. What is wanted grows at once, and shrinks only when unwanted events
 * really come, and a second time, so that a short connection does not pay for it. */
struct watch {
    int descriptor; /* -1: none */
    enum watch_trigger trigger;
    bool between;  /* it is looked at between steps, too */
    bool changed;  /* its trigger, which the kernel does not know yet */
    bool unwanted; /* an event has come that is not wanted any more */
    uint32_t registered, wanted;
    void (*ready)(struct watch *watch, uint32_t events);
};

/* Work that may wait for the next turn. */
enum step_kind {
    STEP_NEXT,   /* of an established connection that has used little time lately */
    STEP_BEHIND, /* of one that has used more than its share, or has more to do */
    STEP_FINISH,
    STEP_BEGIN,
    STEP_ACCEPT,
    STEP_KIND_COUNT
};
struct step {
    struct list node;
    int64_t credit;       /* ns that it may use before others; below 0: that others go before it */
    uint64_t credited_at; /* ns: credit grows with time */
    /* May queue itself again. */
    void (*run)(struct step *step);
};

enum loop_timers {
    TIMER_HANDSHAKE,
    TIMER_CONNECT,
    TIMER_CONNECT_NEXT,
    TIMER_RECONNECT,
    TIMER_IDLE,
    TIMER_HALF_CLOSE,
    TIMER_RETRY,
    TIMER_REST,
    TIMER_LISTEN,
    TIMER_COUNT
};

struct loop {
    int epoll;            /* all watches */
    int between;          /* the epoll set of those that are looked at between steps, too */
    size_t between_count; /* how many have ever joined it; none: it needs no look */
    uint64_t now;         /* of this turn's current phase */
    uint64_t looked_at;   /* ns: when events of established connections were collected */
    uint64_t cpu_mark, cpu_mark_at; /* ns: the thread's CPU time, and when it was read */
    uint64_t established_budget, handshake_budget; /* ns of steps in a turn */
    uint64_t established_left;                     /* ns of this turn */
    unsigned served_next;                          /* since one of STEP_BEHIND was */
    struct list steps[STEP_KIND_COUNT];            /* STEP_BEHIND: unused */
    struct list behind[LOOP_ROUNDS]; /* a ring: those of `round`, of the one after it, ... */
    unsigned round;
    struct timer_queue timers[TIMER_COUNT];
    struct histogram *turns, *turns_cpu;
    bool stopped;
    void *owner;
    void (*flush)(void *owner);             /* phase 4 */
    uint64_t (*next_deadline)(void *owner); /* of timers that are not in the queues */
    void (*end_turn)(void *owner);          /* after phase 5 */
};

/* False with errno. The caller has set the budgets, turns, owner and its functions, and inits the
 * timers. */
bool loop_open(struct loop *loop);
void loop_close(struct loop *loop);
/* Turns until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

void watch_init(struct watch *watch, void (*ready)(struct watch *watch, uint32_t events));
/* Takes the descriptor over; the first watch_want() registers it. */
void watch_open(struct watch *watch, int descriptor, enum watch_trigger trigger);
/* From now on it is level-triggered, and nothing is wanted of it. */
void watch_level(struct watch *watch);
/* From now on its events are collected between steps, too. That costs a system call, so it is for
 * those that stay. What is not served then is told again at the next turn. */
void watch_between_steps(struct loop *loop, struct watch *watch);
/* Which epoll events lead to ready(); EPOLLERR and EPOLLHUP always do unless events is 0. */
void watch_want(struct loop *loop, struct watch *watch, uint32_t events);
void watch_close(struct loop *loop, struct watch *watch);

void step_init(struct step *step, void (*run)(struct step *step));
void step_queue(struct loop *loop, enum step_kind kind, struct step *step);
/* The step of an established connection that something has happened to. */
void step_queue_established(struct loop *loop, struct step *step);
void step_drop(struct step *step);
/* Others of this kind wait; they may still run in this turn. */
bool step_waiting(const struct loop *loop, enum step_kind kind);

#endif
