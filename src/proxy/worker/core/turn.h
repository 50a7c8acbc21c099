/*
 * What a turn of a worker thread's loop is:
 *
 *   1. collect events; they only queue steps;
 *   2. steps of established connections, in turn, until their budget is spent;
 *   3. steps of handshakes and listeners, one at a time, finishing before beginning, beginning
 *      before accepting, until theirs is spent; between them the loop looks for established
 *      connections again and serves those, from what is left of their budget;
 *   4. one flush of all signing requests that the steps made;
 *   5. timers and closing, within a budget of their own (loop/loop.h).
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
#ifndef PROXY_WORKER_CORE_TURN_H
#define PROXY_WORKER_CORE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/list.h"
#include "loop/loop.h"

/* Of those behind: the deepest deficit is made up in one fewer. */
#define TURN_ROUNDS 6

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

struct turn {
    struct loop *loop;
    uint64_t looked_at;             /* ns: when events of established connections were collected */
    uint64_t cpu_mark, cpu_mark_at; /* ns: the thread's CPU time, and when it was read */
    uint64_t established_budget, handshake_budget; /* ns of steps in a turn */
    uint64_t established_left;                     /* ns of this turn */
    unsigned served_next;                          /* since one of STEP_BEHIND was */
    struct list steps[STEP_KIND_COUNT];            /* STEP_BEHIND: unused */
    struct list behind[TURN_ROUNDS]; /* a ring: those of `round`, of the one after it, ... */
    unsigned round;
    struct histogram *turns, *turns_cpu;
    void *owner;
    void (*flush)(void *owner); /* phase 4 */
};

/* The caller has set the loop, the budgets, the histograms, and owner and its function. */
void turn_init(struct turn *turn);
/* Turn after turn until loop_stop(). */
void turn_run(struct turn *turn);

void step_init(struct step *step, void (*run)(struct step *step));
void step_queue(struct turn *turn, enum step_kind kind, struct step *step);
/* The step of an established connection that something has happened to. */
void step_queue_established(struct turn *turn, struct step *step);
void step_drop(struct step *step);
/* Others of this kind wait; they may still run in this turn. */
bool step_waiting(const struct turn *turn, enum step_kind kind);

#endif
