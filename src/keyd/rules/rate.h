/*
 * How often something may happen: token buckets.
 *
 * A bucket is one number, the time at which it will be full again (the generic cell rate algorithm,
 * ITU-T I.371): what happens moves it on by the interval, and may not if that is further from now
 * than the whole burst.
 */
#ifndef KEYD_RULES_RATE_H
#define KEYD_RULES_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
    uint64_t interval; /* ns between two in the long run; 0: no limit */
    uint64_t burst;    /* ns: so many intervals at once, after a pause */
};

/* "1000/s", "90/m", "1000/s burst 50"; without a burst it is what one second brings, at least one
 * request. */
bool rate_parse(const char *text, struct rate *rate);

/* `full`: when the bucket will be full again, CLOCK_MONOTONIC, ns. Whether it has `count` tokens.
 */
bool rate_admits(const struct rate *rate, uint64_t full, unsigned count, uint64_t now);
/* Takes them, whether it has them or not. */
void rate_take(const struct rate *rate, uint64_t *full, unsigned count, uint64_t now);
/* Gives one back that was taken. */
void rate_give_back(const struct rate *rate, uint64_t *full);

#endif
