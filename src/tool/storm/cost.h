/*
 * The CPU time (user + system) of processes and all their descendants, from /proc. Processes that
 * have exited and were waited for are counted by their parents' cutime and cstime.
 */
#ifndef STORM_COST_H
#define STORM_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One line of /proc/PID/stat (proc(5)); CPU times in ns, with a resolution of clock ticks. */
struct process {
    pid_t pid, parent;
    char name[32];
    bool ended;        /* a zombie: its times are not yet in its parent's */
    uint64_t own;      /* utime + stime, all threads, including ended ones */
    uint64_t children; /* cutime + cstime: children that were waited for */
    uint64_t started;  /* clock ticks since boot; unique together with the pid */
};

bool process_parse(const char *line, struct process *process);

/* A snapshot of a process family. */
struct cost_sample {
    struct process *processes;
    size_t count;
};

/* Takes the roots, their descendants, and those processes of `before` (may be NULL) that are still
 * alive, whoever their parent is now. False: /proc cannot be read, or out of memory. */
bool cost_take(struct cost_sample *sample, const pid_t *roots, size_t root_count,
               const struct cost_sample *before);
void cost_free(struct cost_sample *sample);
bool cost_lives(const struct cost_sample *sample, pid_t pid);

/* CPU time between two samples by process name. Processes that ended share one line without a
 * name. */
struct cost_line {
    char name[32];
    unsigned processes;
    uint64_t ns;
};
#define COST_LINES_MAX 16
/* Returns the number of lines, in order of appearance. Processes beyond COST_LINES_MAX lines count
 * in *total only. */
size_t cost_between(const struct cost_sample *before, const struct cost_sample *after,
                    struct cost_line lines[COST_LINES_MAX], uint64_t *total);

#endif
