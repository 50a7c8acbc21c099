#include "storm/tally.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

/* Adds (`factor` 1) or subtracts (-1) all counters that are not histograms. */
static void add_counters(struct tally *into, const struct tally *from, uint64_t factor)
{
    counter *const to[] = {&into->started,         &into->full,     &into->resumed, &into->failed,
                           &into->requests_failed, &into->answered, &into->lost};
    const counter *const what[] = {
        &from->started,         &from->full,     &from->resumed, &from->failed,
        &from->requests_failed, &from->answered, &from->lost};
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++)
        counter_add(to[i], counter_read(what[i]) * factor);
    for (size_t i = 0; i < FAILURE_COUNT; i++) {
        counter_add(&into->failures[i], counter_read(&from->failures[i]) * factor);
        counter_add(&into->probe_failures[i], counter_read(&from->probe_failures[i]) * factor);
    }
}

void tally_merge(struct tally *into, const struct tally *from)
{
    add_counters(into, from, 1);
    histogram_merge(&into->handshake, &from->handshake);
    histogram_merge(&into->reply, &from->reply);
    histogram_merge(&into->lateness, &from->lateness);
    histogram_merge(&into->probe, &from->probe);
    histogram_merge(&into->probe_lateness, &from->probe_lateness);
}

static void subtract_histogram(struct histogram *from, const struct histogram *earlier)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        counter_add(&from->counts[i], -counter_read(&earlier->counts[i]));
    counter_add(&from->sum, -counter_read(&earlier->sum));
    atomic_store_explicit(&from->max, histogram_quantile(from, 1), memory_order_relaxed);
}

void tally_subtract(struct tally *from, const struct tally *earlier)
{
    add_counters(from, earlier, (uint64_t)-1);
    subtract_histogram(&from->handshake, &earlier->handshake);
    subtract_histogram(&from->reply, &earlier->reply);
    subtract_histogram(&from->lateness, &earlier->lateness);
    subtract_histogram(&from->probe, &earlier->probe);
    subtract_histogram(&from->probe_lateness, &earlier->probe_lateness);
}

/* The file holds ns on a core, ns waiting for one, and time slices (sched-stats.rst of the
 * kernel). */
static uint64_t thread_waited(void)
{
    char line[128] = "", *waited = line;
    FILE *file = fopen("/proc/thread-self/schedstat", "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) != NULL)
        (void)strtoull(line, &waited, 10);
    (void)fclose(file);
    return strtoull(waited, NULL, 10);
}

void cpu_watch_step(struct cpu_watch *watch, const struct timetable *timetable, uint64_t now,
                    struct thread_tally *tally)
{
    if (watch->done || now < timetable->measured)
        return;
    if (watch->began == 0) {
        watch->began = now;
        watch->cpu = clock_thread();
        watch->waited = thread_waited();
    } else if (now >= timetable->end) {
        counter_add(&tally->cpu, clock_thread() - watch->cpu);
        counter_add(&tally->waited, thread_waited() - watch->waited);
        counter_add(&tally->measured, now - watch->began);
        watch->done = true;
    }
}
