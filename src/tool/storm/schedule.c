#include "storm/schedule.h"

#include <math.h>

#include "base/clock.h"
#include "base/mix.h"

/* Any seed will do, and the streams of adjacent seeds are independent. */
static uint64_t random_next(uint64_t *state)
{
    return mix(*state += MIX_STEP);
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
