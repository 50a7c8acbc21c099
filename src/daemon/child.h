/* A process that a master keeps running: how it ended, and when it is started again. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop/loop.h"

/* When something that keeps ending is started again: 10 ms after its end, and twice as long each
 * time up to 1 s, until it has lived for half a second. */
struct back_off {
    struct loop *loop;
    struct timer restart;
    uint64_t pause; /* ns, before the last restart */
};

void back_off_init(struct back_off *back_off, struct loop *loop,
                   void (*restart)(struct timer *timer));
/* It has ended, after so long a life (ns; 0: it did not even start): starts the timer. */
void back_off_restart(struct back_off *back_off, uint64_t lived, uint64_t now);
/* It is not to be started again. */
void back_off_stop(struct back_off *back_off);

struct child {
    const char *name; /* a literal, for the log */
    pid_t pid;        /* 0: it is not running */
    uint64_t started; /* CLOCK_MONOTONIC, ns, like all times here */
    bool (*start)(struct child *child);
    struct back_off back_off;
};

/* `start` starts it, which ends in child_started(); false with errno. */
void child_init(struct child *child, const char *name, struct loop *loop,
                bool (*start)(struct child *child));
void child_started(struct child *child, pid_t pid, uint64_t now);
/* It ended with this status of waitpid(), which was not wanted: logs that, and starts it again
 * after a pause. */
void child_restart_later(struct child *child, int status, uint64_t now);
/* It ended, for good. */
void child_ended(struct child *child);
/* If it ends, it is not started again. */
void child_leave(struct child *child);
/* If it is running. */
void child_signal(const struct child *child, int signal);
/* "ended with status 1" or "was killed by signal 9 (Killed)". Returns text. */
char *child_describe(int status, char *text, size_t size);

#endif
