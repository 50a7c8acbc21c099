/*
 * The CPU time (user + system) of processes and all their descendants, from /proc: of those that
 * live, and through their parents' cutime and cstime of those that have ended and were waited for.
 */
#ifndef STORM_COST_H
#define STORM_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One line of /proc/PID/stat (proc(5)); CPU times in ns, here no finer than clock ticks. */
struct process {
    pid_t pid, parent;
    char name[32];
    bool ended;        /* and not yet waited for: a zombie, whose times are still its own */
    uint64_t own;      /* utime + stime, all threads, ended ones too */
    uint64_t children; /* cutime + cstime: ended, waited for */
    uint64_t started;  /* clock ticks since boot; with the pid, it names the process for good */
};

bool process_parse(const char *line, struct process *process);

/* A family at one moment. */
struct cost_sample {
    struct process *processes;
    size_t count;
};

/* The roots, their descendants, and those of `before` (may be NULL) that live, descendants or not.
 * False: /proc cannot be read, or no memory. */
bool cost_take(struct cost_sample *sample, const pid_t *roots, size_t root_count,
               const struct cost_sample *before);
void cost_free(struct cost_sample *sample);
bool cost_lives(const struct cost_sample *sample, pid_t pid);

/* CPU time between two samples by process name; those that ended are one line without a name. */
struct cost_line {
    char name[32];
    unsigned processes;
    uint64_t ns;
};
#define COST_LINES_MAX 16
/* Returns the count of lines, in order of appearance; what no longer has a line is only in *total.
 */
size_t cost_between(const struct cost_sample *before, const struct cost_sample *after,
                    struct cost_line lines[COST_LINES_MAX], uint64_t *total);

#endif
