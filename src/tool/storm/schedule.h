/*
 * When to start what: a Poisson process, or regular intervals. The schedule does not depend on the
 * server's replies, so a slow server cannot hide its slowness by delaying the requests.
 */
#ifndef STORM_SCHEDULE_H
#define STORM_SCHEDULE_H

#include <stdint.h>

struct schedule {
    double interval; /* mean, ns */
    double next;     /* ns after `origin`: a double keeps the fractions */
    uint64_t origin; /* CLOCK_MONOTONIC, ns */
    uint64_t random; /* state of the generator; 0: regular */
};

/* `rate` per second; different seeds give independent schedules. */
struct schedule schedule_poisson(uint64_t origin, double rate, uint64_t seed);
/* The first comes after a fraction of the interval that depends on the seed, so that many schedules
 * do not run in step. */
struct schedule schedule_regular(uint64_t origin, double rate, uint64_t seed);

/* The next time, CLOCK_MONOTONIC. */
static inline uint64_t schedule_next(const struct schedule *schedule)
{
    return schedule->origin + (uint64_t)schedule->next;
}

/* Moves on to the time after that. */
void schedule_advance(struct schedule *schedule);

#endif
