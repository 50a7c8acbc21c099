/*
 * A hash table of the requests in flight of all sessions, by session and id.
 *
 * The clients choose the ids, so the hash function must be secret: simple tabulation with random
 * tables (Zobrist 1970; Patrascu and Thorup 2012), which keeps the expected length of each bucket
 * at the average whatever ids are chosen.
 */
#ifndef KEYD_SIGN_IN_FLIGHT_H
#define KEYD_SIGN_IN_FLIGHT_H

#include "keyd/sign/job.h"

#define IN_FLIGHT_BUCKETS 65536

struct in_flight {
    uint32_t tables[2 * sizeof(uint64_t)][UINT8_MAX + 1]; /* by byte of session and id */
    struct job **buckets;
};

/* False: out of memory, or no random numbers. */
bool in_flight_init(struct in_flight *table);
/* Frees the table but not the jobs. */
void in_flight_release(struct in_flight *table);

/* `session` is the session's unique number. */
void in_flight_add(struct in_flight *table, struct job *job, uint64_t session);
void in_flight_remove(struct in_flight *table, struct job *job, uint64_t session);
/* NULL: there is none. */
struct job *in_flight_find(const struct in_flight *table, uint64_t session, uint64_t id);

#endif
