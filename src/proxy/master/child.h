/* A process that the master keeps running: how it ended, and when it is started again. */
#ifndef PROXY_MASTER_CHILD_H
#define PROXY_MASTER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
    const char *name;    /* a literal, for the log */
    pid_t pid;           /* 0: it does not run */
    uint64_t started;    /* CLOCK_MONOTONIC, ns, like all here */
    uint64_t restart_at; /* UINT64_MAX: not to be started again */
    uint64_t pause;      /* before the last restart */
};

#define CHILD_INIT(name_) ((struct child){.name = (name_), .restart_at = UINT64_MAX})

void child_started(struct child *child, pid_t pid, uint64_t now);
/* It ended with this status of waitpid(), which was not wanted: logs it and sets restart_at, 10 ms
 * away and twice as long each time up to 1 s, until it has lived for half a second. */
void child_restart_later(struct child *child, int status, uint64_t now);
/* It ended, for good. */
void child_ended(struct child *child);
void child_signal(const struct child *child, int signal);
/* "ended with status 1" or "was killed by signal 9 (Killed)". Returns text. */
char *child_describe(int status, char *text, size_t size);

#endif
