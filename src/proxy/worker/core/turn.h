/*
 * A turn of a worker thread's loop:
 *
 *   1. collect events, which only queue steps;
 *   2. run steps of established connections until their budget is spent;
 *   3. run steps of handshakes and listeners, one at a time, finishing before beginning, beginning
 *      before accepting, until their budget is spent; between these steps the loop looks for events
 *      of established connections and serves those from what is left of their budget; handshakes
 *      that are held back (proxy/worker/admission) take turns with accepting by the time they take;
 *   4. flush all signing requests that the steps made, at once;
 *   5. run timers and deferred work, within a budget of their own (loop/loop.h).
 *
 * What is left waits for the next turn, behind the others. So a turn never takes longer than its
 * budgets and one step of each kind. Its duration goes into two histograms: wall time and CPU time.
 * A turn of less than half a millisecond counts with its wall time in both, because reading the CPU
 * clock is a system call; the CPU time of a longer one may be up to a quarter of a millisecond too
 * high.
 *
 * Established connections are served by deficit round robin (Shreedhar and Varghese, 1995) on the
 * time that their steps take. Those that have used little lately have a list of their own, as in
 * FQ-CoDel (RFC 8290, section 4.2), so that a short request does not wait behind bulk transfers.
 *
 * The overload experiments in docs/performance.md show why asynchronous signing alone protects
 * nobody: key exchange and accepting have to wait their turn, too.
 */
#ifndef PROXY_WORKER_CORE_TURN_H
#define PROXY_WORKER_CORE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/list.h"
#include "loop/loop.h"

/* The length of the ring `behind`. The deepest deficit is made up in one round fewer. */
#define TURN_ROUNDS 6

/* Work that may wait for the next turn. */
enum step_kind {
    STEP_NEXT,   /* an established connection that has used little time lately */
    STEP_BEHIND, /* an established connection that has used more than its share or has more to do */
    STEP_FINISH,
    STEP_BEGIN,
    STEP_ACCEPT,
    STEP_KIND_COUNT
};
struct step {
    struct list node;
    int64_t credit;       /* ns that it may use ahead of others; negative: ns that others may */
    uint64_t credited_at; /* ns: when credit was last added; it grows with time */
    /* May queue itself again. */
    void (*run)(struct step *step);
};

struct turn {
    struct loop *loop;
    uint64_t looked_at;             /* ns: when events of established connections were collected */
    uint64_t cpu_mark, cpu_mark_at; /* ns: the thread's CPU time, and when it was read */
    uint64_t established_budget, handshake_budget; /* ns of steps in a turn */
    uint64_t established_left;                     /* ns left in this turn */
    unsigned served_next;                          /* STEP_NEXT in a row since a STEP_BEHIND */
    struct list steps[STEP_KIND_COUNT];            /* STEP_BEHIND: unused */
    struct list behind[TURN_ROUNDS]; /* a ring: steps of `round`, of the round after it, ... */
    unsigned round;
    int64_t accept_ahead; /* ns that accepting has had more than handshakes that were held back */
    struct histogram *turns, *turns_cpu;
    void *owner;
    void (*flush)(void *owner); /* phase 4 */
    /* Whether a step is held back that may run now, and the one that is next. NULL: none ever is.
     */
    bool (*has_held)(void *owner);
    struct step *(*take_held)(void *owner);
};

/* The caller has set the loop, the budgets, the histograms, owner and the functions. */
void turn_init(struct turn *turn);
/* Runs turn after turn until loop_stop(). */
void turn_run(struct turn *turn);

void step_init(struct step *step, void (*run)(struct step *step));
void step_queue(struct turn *turn, enum step_kind kind, struct step *step);
/* Queues the step of an established connection that has an event. */
void step_queue_established(struct turn *turn, struct step *step);
/* Takes a step out of its queue, if it is in one. */
void step_drop(struct step *step);
/* Whether steps of this kind are queued; they may still run in this turn. */
bool step_waiting(const struct turn *turn, enum step_kind kind);
/* Whether handshakes wait to begin, in the queue or held back. */
bool turn_begins_more(const struct turn *turn);

#endif
