/*
 * How often something may happen: token buckets.
 *
 * A bucket is one number, the time at which it will be full again (the generic cell rate algorithm,
 * ITU-T I.371). Each event moves that time on by the interval, and is refused if the time would
 * then be further away than the whole burst.
 */
#ifndef KEYD_RULES_RATE_H
#define KEYD_RULES_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
    uint64_t interval; /* average ns between two events; 0: no limit */
    uint64_t burst;    /* ns: the events that may come at once after a pause, times the interval */
};

/* Parses "1000/s", "90/m" or "1000/s burst 50". The default burst is the requests of one second, at
 * least one. */
bool rate_parse(const char *text, struct rate *rate);

/* Whether the bucket has `count` tokens. `full`: when it will be full again, CLOCK_MONOTONIC, ns.
 */
bool rate_admits(const struct rate *rate, uint64_t full, unsigned count, uint64_t now);
/* Takes `count` tokens, whether the bucket has them or not. */
void rate_take(const struct rate *rate, uint64_t *full, unsigned count, uint64_t now);
/* Returns one token that was taken. */
void rate_give_back(const struct rate *rate, uint64_t *full);

#endif
