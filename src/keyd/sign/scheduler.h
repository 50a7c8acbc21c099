/*
 * Hands jobs from the queue to the threads that sign, on the event loop's thread.
 *
 * A thread that becomes free takes what waits, up to the width of its driver for that kind of key,
 * and does not wait for a fuller batch unless `hold` says so. The event loop itself makes quick
 * signatures while they are few: a few microseconds' work is not worth waking a thread for, and so
 * they never wait for RSA. Measurement decides which are quick, and the event loop signs for at
 * most QUEUE_LOOP_TIME in a turn.
 */
#ifndef KEYD_SIGN_SCHEDULER_H
#define KEYD_SIGN_SCHEDULER_H

#include "keyd/sign/crew.h"
#include "keyd/sign/queue.h"

struct scheduler {
    struct queue queue;
    struct crew *crew;
    struct signer *signer;     /* the event loop's own */
    struct compact_keys *keys; /* the cache of those; NULL: there are none */
    uint64_t batches;          /* signed so far */
    uint64_t lane_batches;     /* those by a driver with lanes */
    uint64_t lanes_filled;     /* jobs in lane_batches */
};

/* Appends the jobs that are signed or have become too old to `done` (queue_node). */
void scheduler_run(struct scheduler *scheduler, uint64_t now, struct list *done);
/* When to run again even if nothing has happened; UINT64_MAX: never. */
uint64_t scheduler_deadline(struct scheduler *scheduler, uint64_t now);
/* Lets go of all keys that the signers have used. */
void scheduler_clear(struct scheduler *scheduler);
/* Stops the threads and frees the waiting jobs. */
void scheduler_stop(struct scheduler *scheduler);

#endif
