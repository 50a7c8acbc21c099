/* Signals as events of a loop: they interrupt nothing, and come in turn with all else. */
#ifndef LOOP_SIGNAL_WATCH_H
#define LOOP_SIGNAL_WATCH_H

#include <signal.h>

#include "loop/loop.h"

struct signal_watch {
    struct watch watch;
    void (*caught)(struct signal_watch *signals, int number);
};

/* Before signal_watch_close() may be called. */
void signal_watch_init(struct signal_watch *signals,
                       void (*caught)(struct signal_watch *signals, int number));
/* Blocks the signals in this thread and those that it starts from then on, so it comes before they
 * do. False with errno. */
bool signal_watch_open(struct loop *loop, struct signal_watch *signals, const sigset_t *set);
/* They stay blocked. */
void signal_watch_close(struct loop *loop, struct signal_watch *signals);

#endif
