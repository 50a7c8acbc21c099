/* Signals as events of a loop: they interrupt nothing, and arrive like all other events. */
#ifndef LOOP_SIGNAL_WATCH_H
#define LOOP_SIGNAL_WATCH_H

#include <signal.h>

#include "loop/loop.h"

struct signal_watch {
    struct watch watch;
    void (*caught)(struct signal_watch *signals, int number);
};

/* Has to be called before signal_watch_close(). */
void signal_watch_init(struct signal_watch *signals,
                       void (*caught)(struct signal_watch *signals, int number));
/* Blocks the signals in this thread and in all that it starts later, so it has to be called before
 * other threads are started. False with errno. */
bool signal_watch_open(struct loop *loop, struct signal_watch *signals, const sigset_t *set);
/* The signals stay blocked. */
void signal_watch_close(struct loop *loop, struct signal_watch *signals);

#endif
