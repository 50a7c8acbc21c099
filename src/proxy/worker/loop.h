/*
 * The event loop of one thread, and what a turn of it is:
 *
 *   1. collect events; those of established connections are served as they come, those of
 *      handshakes and listeners only queue a step;
 *   2. steps, one at a time, finishing before beginning, beginning before accepting, until the
 * budget is spent; what is left waits for the next turn, after the next poll;
 *   3. one flush of all signing requests that the steps made;
 *   4. timers.
 *
 * The time from 1 to the end of 4 goes into a histogram, every turn.
 *
 * Source: the overload experiments in docs/performance.md show why asynchronous signing alone
 * protects nobody: key exchange and accepting must wait their turn too.
 */
#ifndef PROXY_WORKER_LOOP_H
#define PROXY_WORKER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/list.h"
#include "proxy/worker/timer.h"

/* A descriptor in the loop. Level-triggered; what is wanted grows at once, and shrinks only when an
 * unwanted event really comes, so that a handshake costs no epoll_ctl() but its first. */
struct watch {
    int descriptor; /* -1: none */
    uint32_t registered, wanted;
    void (*ready)(struct watch *watch, uint32_t events);
};

/* Work that may wait for the next turn. */
enum step_kind { STEP_FINISH, STEP_BEGIN, STEP_ACCEPT, STEP_KIND_COUNT };
struct step {
    struct list node;
    /* May queue itself again. */
    void (*run)(struct step *step);
};

enum loop_timers {
    TIMER_HANDSHAKE,
    TIMER_CONNECT,
    TIMER_IDLE,
    TIMER_HALF_CLOSE,
    TIMER_RETRY,
    TIMER_REST,
    TIMER_LISTEN,
    TIMER_COUNT
};

struct loop {
    int epoll;
    uint64_t now;    /* of this turn's current phase */
    uint64_t budget; /* ns of steps in a turn */
    struct list steps[STEP_KIND_COUNT];
    struct timer_queue timers[TIMER_COUNT];
    struct histogram *turns;
    bool stopped;
    void *owner;
    void (*flush)(void *owner);             /* phase 3 */
    uint64_t (*next_deadline)(void *owner); /* of timers that are not in the queues */
    void (*end_turn)(void *owner);          /* after phase 4 */
};

/* False with errno. The caller has set budget, turns, owner and its functions, and inits the
 * timers. */
bool loop_open(struct loop *loop);
void loop_close(struct loop *loop);
/* Turns until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

void watch_init(struct watch *watch, void (*ready)(struct watch *watch, uint32_t events));
/* Takes the descriptor over; the first watch_want() registers it. */
void watch_open(struct watch *watch, int descriptor);
/* Which epoll events lead to ready(); EPOLLERR and EPOLLHUP always do unless events is 0. */
void watch_want(struct loop *loop, struct watch *watch, uint32_t events);
void watch_close(struct watch *watch);

void step_init(struct step *step, void (*run)(struct step *step));
void step_queue(struct loop *loop, enum step_kind kind, struct step *step);
void step_drop(struct step *step);
/* Others of this kind wait; they may still run in this turn. */
bool step_waiting(const struct loop *loop, enum step_kind kind);

#endif
