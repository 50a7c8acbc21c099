/*
 * Who signs what when: between the queue and the threads that sign, on the event loop's thread.
 *
 * A thread that becomes free takes what waits, up to the width of its driver for that kind of key,
 * and never waits for a fuller batch unless `hold` says so. Quick signatures are made by the event
 * loop itself while they are few: a few microseconds' work is not worth waking a thread for, and so
 * they never wait for RSA. Which are quick was measured, and the event loop signs for
 * QUEUE_LOOP_TIME a turn at most.
 */
#ifndef KEYD_SIGN_SCHEDULER_H
#define KEYD_SIGN_SCHEDULER_H

#include "keyd/sign/crew.h"
#include "keyd/sign/queue.h"

struct scheduler {
    struct queue queue;
    struct crew *crew;
    struct signer *signer; /* the event loop's own */
    uint64_t batches;      /* ever signed */
    uint64_t lane_batches; /* of them, for a driver with lanes */
    uint64_t lanes_filled; /* jobs in these */
};

/* The batches and signatures that are done, and what became too old, go to `done` (queue_node). */
void scheduler_run(struct scheduler *scheduler, uint64_t now, struct list *done);
/* When to run again though nothing has happened; UINT64_MAX: never. */
uint64_t scheduler_deadline(struct scheduler *scheduler, uint64_t now);
/* Sends the threads home and frees what waits. */
void scheduler_stop(struct scheduler *scheduler);

#endif
