#include "storm/schedule.h"

#include <math.h>

#include "base/clock.h"

/* SplitMix64 (Steele, Lea, Flood 2014): any seed will do, and the streams of adjacent seeds are
 * independent. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number in (0, 1], so that its logarithm is finite. */
static double random_unit(uint64_t *state)
{
    return (double)((random_next(state) >> 11) + 1) * 0x1p-53;
}

struct schedule schedule_poisson(uint64_t origin, double rate, uint64_t seed)
{
    struct schedule schedule = {
        .interval = (double)NS_PER_S / rate, .origin = origin, .random = seed};
    schedule.random = random_next(&schedule.random) | 1;
    schedule_advance(&schedule);
    return schedule;
}

struct schedule schedule_regular(uint64_t origin, double rate, uint64_t seed)
{
    double interval = (double)NS_PER_S / rate;
    return (struct schedule){
        .interval = interval, .next = interval * random_unit(&seed), .origin = origin};
}

void schedule_advance(struct schedule *schedule)
{
    double steps = schedule->random == 0 ? 1 : -log(random_unit(&schedule->random));
    schedule->next += schedule->interval * steps;
}
