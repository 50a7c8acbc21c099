/*
 * The requests that are in flight, of all sessions, found by session and id.
 *
 * The ids are the clients' choice. So the hash is one that nobody outside knows: simple tabulation
 * with random tables (Zobrist 1970; Patrascu and Thorup 2012), of which each bucket's expected
 * length is its fair part whatever ids are chosen.
 */
#ifndef KEYD_SIGN_IN_FLIGHT_H
#define KEYD_SIGN_IN_FLIGHT_H

#include "keyd/sign/job.h"

#define IN_FLIGHT_BUCKETS 65536

struct in_flight {
    uint32_t tables[2 * sizeof(uint64_t)][UINT8_MAX + 1]; /* by byte of session and id */
    struct job **buckets;
};

/* False: out of memory, or of random numbers. */
bool in_flight_init(struct in_flight *table);
/* The jobs are the caller's. */
void in_flight_release(struct in_flight *table);

/* `session` is a number that no other session has. */
void in_flight_add(struct in_flight *table, struct job *job, uint64_t session);
void in_flight_remove(struct in_flight *table, struct job *job, uint64_t session);
/* NULL: there is none. */
struct job *in_flight_find(const struct in_flight *table, uint64_t session, uint64_t id);

#endif
