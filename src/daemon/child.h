/* A process that a master keeps running. When it has ended, the log says how, and it is started
 * again after a pause. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop/loop.h"

/* The pause before something that has ended is started again: 10 ms, and each time twice as long,
 * up to 1 s, until it has lived for half a second. */
struct back_off {
    struct loop *loop;
    struct timer restart;
    uint64_t pause; /* ns, before the last restart */
};

void back_off_init(struct back_off *back_off, struct loop *loop,
                   void (*restart)(struct timer *timer));
/* Starts the timer, because the thing has ended. It `lived` that long, in ns; 0: it did not even
 * start. */
void back_off_restart(struct back_off *back_off, uint64_t lived, uint64_t now);
/* Stops the timer: nothing is started again. */
void back_off_stop(struct back_off *back_off);

struct child {
    const char *name; /* a literal, for the log */
    pid_t pid;        /* 0: it is not running */
    uint64_t started; /* CLOCK_MONOTONIC, ns, like all times here */
    bool (*start)(struct child *child);
    struct back_off back_off;
};

/* `start` starts the process and calls child_started(). If it cannot, it returns false with errno.
 */
void child_init(struct child *child, const char *name, struct loop *loop,
                bool (*start)(struct child *child));
void child_started(struct child *child, pid_t pid, uint64_t now);
/* Called when the process has ended although it should run: logs the status of waitpid(), and
 * starts the process again after a pause. */
void child_restart_later(struct child *child, int status, uint64_t now);
/* Called when the process has ended and is not needed any more. */
void child_ended(struct child *child);
/* Sends the signal, if the process is running. */
void child_signal(const struct child *child, int signal);
/* Writes "ended with status 1" or "was killed by signal 9 (Killed)". Returns `text`. */
char *child_describe(int status, char *text, size_t size);

#endif
