/*
 * What one thread counts. It alone writes; the reporting thread reads at any time (relaxed atomics,
 * as in base/histogram.h).
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
    counter started, full, resumed, failed; /* handshakes: when all is over, the first is the sum */
    counter requests_failed;                /* after a handshake that was good */
    counter failures[FAILURE_COUNT];        /* of either kind */
    struct histogram handshake;             /* scheduled start to Finished sent */
    struct histogram reply;                 /* scheduled start to the end of the reply */
    struct histogram lateness;              /* of our own starts behind the schedule */

    counter answered, lost; /* probes */
    struct histogram probe; /* scheduled moment to answer; lost ones with the time they waited */
    struct histogram probe_lateness; /* of sending on a free connection: our own doing */
    counter probe_failures[FAILURE_COUNT];
};

/* What began in the warm-up is counted apart from what is measured. */
enum phase { PHASE_WARMUP, PHASE_MEASURED, PHASE_COUNT };

struct thread_tally {
    struct tally phase[PHASE_COUNT];
    counter open;     /* gauge: connections */
    counter held_up;  /* arrivals that waited because --max-open connections were open */
    counter cpu;      /* ns of this thread, measured part; written when it is over, as the next */
    counter waited;   /* ns that it could have run and had no core; 0 if the kernel does not tell */
    counter measured; /* ns of wall time that both are about */
};

/* Adds `from` to `into`, which no other thread uses. */
void tally_merge(struct tally *into, const struct tally *from);
/* Takes away what `earlier` held: leaves what came since. Maxima become those of the buckets left.
 */
void tally_subtract(struct tally *from, const struct tally *earlier);

/* When the run begins, is measured and starts nothing new: CLOCK_MONOTONIC, ns. */
struct timetable {
    uint64_t start, measured, end;
};

static inline enum phase timetable_phase(const struct timetable *timetable, uint64_t moment)
{
    return moment < timetable->measured ? PHASE_WARMUP : PHASE_MEASURED;
}

/* Watches the CPU time of the thread that calls it over the measured part. Zeroed at first. */
struct cpu_watch {
    uint64_t began, cpu, waited;
    bool done;
};
void cpu_watch_step(struct cpu_watch *watch, const struct timetable *timetable, uint64_t now,
                    struct thread_tally *tally);

#endif
