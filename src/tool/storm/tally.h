/*
 * The counters of one thread. Only that thread writes; the reporting thread may read at any time
 * (relaxed atomics, as in base/histogram.h).
 */
#ifndef STORM_TALLY_H
#define STORM_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "storm/failure.h"

typedef _Atomic uint64_t counter;

static inline uint64_t counter_read(const counter *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static inline void counter_add(counter *value, uint64_t amount)
{
    atomic_store_explicit(value, counter_read(value) + amount, memory_order_relaxed);
}

struct tally {
    counter started, full, resumed, failed; /* handshakes; at the end, started is the sum */
    counter requests_failed;                /* after a successful handshake */
    counter failures[FAILURE_COUNT];        /* of either kind */
    struct histogram handshake;             /* scheduled start to Finished sent */
    struct histogram reply;                 /* scheduled start to the end of the reply */
    struct histogram lateness;              /* of our own starts, relative to the schedule */

    counter answered, lost; /* probes */
    struct histogram probe; /* scheduled time to reply; for a lost one, until it was lost */
    struct histogram probe_lateness; /* of sending on an idle connection: our own delay */
    counter probe_failures[FAILURE_COUNT];
};

/* Whatever starts in the warm-up is counted separately. */
enum phase { PHASE_WARMUP, PHASE_MEASURED, PHASE_COUNT };

struct thread_tally {
    struct tally phase[PHASE_COUNT];
    counter open;    /* gauge: connections */
    counter held_up; /* arrivals that waited because --max-open connections were open */
    counter cpu; /* ns of this thread in the measured part; this and the next two set at its end */
    counter waited;   /* ns that it was runnable without a core; 0 if the kernel does not tell */
    counter measured; /* ns of wall time for the two above */
};

/* Adds `from` to `into`, which no other thread may use. */
void tally_merge(struct tally *into, const struct tally *from);
/* Subtracts `earlier`, which leaves what came since. Maxima become those of the remaining
 * buckets. */
void tally_subtract(struct tally *from, const struct tally *earlier);

/* When the run begins, when measuring begins, and when starts end: CLOCK_MONOTONIC, ns. */
struct timetable {
    uint64_t start, measured, end;
};

static inline enum phase timetable_phase(const struct timetable *timetable, uint64_t moment)
{
    return moment < timetable->measured ? PHASE_WARMUP : PHASE_MEASURED;
}

/* Measures the calling thread's CPU time during the measured part. Initially all zero. */
struct cpu_watch {
    uint64_t began, cpu, waited;
    bool done;
};
void cpu_watch_step(struct cpu_watch *watch, const struct timetable *timetable, uint64_t now,
                    struct thread_tally *tally);

#endif
