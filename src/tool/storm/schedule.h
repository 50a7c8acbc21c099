/*
 * When things shall happen: a Poisson process, or every so often. The moments are fixed before the
 * server answers anything, so a slow server cannot delay the measuring of how slow it is.
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
/* The first after a part of the interval that the seed chooses, so that many do not march in step.
 */
struct schedule schedule_regular(uint64_t origin, double rate, uint64_t seed);

/* The next moment, CLOCK_MONOTONIC. */
static inline uint64_t schedule_next(const struct schedule *schedule)
{
    return schedule->origin + (uint64_t)schedule->next;
}

/* The next moment is dealt with: on to the one after it. */
void schedule_advance(struct schedule *schedule);

#endif
