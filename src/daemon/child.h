/* A process that a master keeps running: how it ended, and when it is started again. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <stdint.h>
#include <sys/types.h>

/* When something that keeps ending is started again: 10 ms after its end, and twice as long each
 * time up to 1 s, until it has lived for half a second. */
struct back_off {
    uint64_t restart_at; /* CLOCK_MONOTONIC, ns, like all times here; UINT64_MAX: not at all */
    uint64_t pause;      /* before the last restart */
};

#define BACK_OFF_INIT ((struct back_off){.restart_at = UINT64_MAX})

/* It has ended, and lived for so long (0: it did not even start). Sets both fields. */
void back_off_restart(struct back_off *back_off, uint64_t lived, uint64_t now);

struct child {
    const char *name; /* a literal, for the log */
    pid_t pid;        /* 0: it is not running */
    uint64_t started;
    struct back_off back_off;
};

#define CHILD_INIT(name_) ((struct child){.name = (name_), .back_off = BACK_OFF_INIT})

void child_started(struct child *child, pid_t pid, uint64_t now);
/* It ended with this status of waitpid(), which was not wanted: logs that, and backs off. */
void child_restart_later(struct child *child, int status, uint64_t now);
/* It ended, for good. */
void child_ended(struct child *child);
/* If it is running. */
void child_signal(const struct child *child, int signal);
/* "ended with status 1" or "was killed by signal 9 (Killed)". Returns text. */
char *child_describe(int status, char *text, size_t size);

#endif
