/*
 * Between the event loop, which submits and collects, and the signers, which take batches and
 * finish them.
 *
 * Jobs wait by cost class. A signer that becomes free takes what waits, up to the backend's width
 * for that kind of key, and never waits for a fuller batch. Which class is served is decided by
 * virtual time (start-time fair queueing): each class is charged the time that its batches took,
 * divided by its weight, and the class that was charged least comes first, the cheaper one among
 * equals. An express signer takes cheap jobs only, so that one is always free of RSA.
 *
 * All functions: any thread, except where the event loop is named.
 */
#ifndef KEYD_QUEUE_H
#define KEYD_QUEUE_H

#include <pthread.h>

#include "keyd/job.h"

#define QUEUE_JOBS_MAX 65536
#define QUEUE_BYTES_MAX (64u << 20) /* of messages */
#define QUEUE_BATCH_MAX 128

/* How many jobs a backend takes at once for such a key; at most QUEUE_BATCH_MAX count. */
typedef size_t queue_width(const struct key *key);

/* One signer's place at the queue. */
struct queue_seat {
    bool express;
    struct list idle_node;
    pthread_cond_t wake;
};

struct queue {
    pthread_mutex_t mutex;
    struct queue_class {
        struct list waiting;
        uint64_t virtual_time; /* ns per weight */
    } classes[COST_CLASSES];
    uint64_t virtual_now; /* the virtual time of the class served last */
    size_t jobs, bytes;   /* waiting */
    uint64_t batches;     /* ever taken */
    struct list idle; /* seats; the one that fell idle last is woken first: its caches are warm */
    struct list idle_express;
    bool closed;

    struct list done;
    bool done_told; /* the event loop was woken and has not collected yet */
    int wake;       /* eventfd: readable when there is something to collect */
    queue_width *width;
};

/* False with errno. */
bool queue_init(struct queue *queue, queue_width *width);
/* Frees the jobs that are left. No signer may be at it any more. */
void queue_destroy(struct queue *queue);
void queue_seat_init(struct queue_seat *seat, bool express);

/* The event loop. False: the queue is full; the job stays the caller's. */
bool queue_submit(struct queue *queue, struct job *job, uint64_t now);
/* The event loop. True: the job was still waiting and is the caller's again. */
bool queue_withdraw(struct queue *queue, struct job *job);
/* The event loop, when `wake` is readable: all jobs that are done, in `done`. */
void queue_collect(struct queue *queue, struct list *done);
/* The event loop. Signers that come for work are sent home, once nothing waits. */
void queue_close(struct queue *queue);

/* A signer: waits for work. Returns how many jobs it took; 0: the queue is closed. */
size_t queue_take(struct queue *queue, struct queue_seat *seat, struct job **batch);
/* A signer: the batch is done; it took `ns`. */
void queue_finish(struct queue *queue, struct job *const *batch, size_t count, uint64_t ns);

struct queue_figures {
    size_t jobs;
    uint64_t batches;
};
struct queue_figures queue_figures(struct queue *queue);

#endif
