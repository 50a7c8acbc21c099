/*
 * What waits to be signed. The event loop's alone: no lock, no thread looks into it.
 *
 * A line for each kind of key, and in a line a flow for each client, served in turn, so that one
 * client's flood delays another's request by a turn and not by the flood. Which line is served is
 * decided by virtual time (start-time fair queueing; Goyal, Vin, Cheng 1996): a line is charged the
 * time that its batches took, divided by the weight of its cost class, and the line that was
 * charged least comes first, the cheaper among equals.
 *
 * Bounds: jobs, bytes of messages, and age. A job is refused when what waits would keep all signers
 * busy for longer than `age`, by the kinds' measured costs, and its client has more than its share
 * of that; and one that has waited for longer than that in the end is given up.
 */
#ifndef KEYD_QUEUE_H
#define KEYD_QUEUE_H

#include "keyd/job.h"
#include "keyd/kind.h"

#define QUEUE_JOBS_MAX 65536
#define QUEUE_BYTES_MAX (64u << 20) /* of messages */
#define QUEUE_FLOOD 16              /* jobs of one flow that others notice */

/* One client's jobs of one kind. */
struct flow {
    struct list node; /* in the line, while it has jobs */
    struct list jobs;
    size_t count;
    uint64_t work; /* ns of one signer, estimated */
};

struct line {
    const struct kind *kind;
    struct list flows; /* with jobs, the one to be served next in front */
    size_t jobs;
    size_t floods;         /* flows with QUEUE_FLOOD jobs or more */
    uint64_t virtual_time; /* ns per weight */
};

struct queue {
    struct line lines[KINDS_MAX];
    size_t line_count;
    uint64_t virtual_now; /* the virtual time of the line served last */
    size_t jobs, bytes, flows;
    uint64_t work;      /* ns of one signer, estimated */
    uint64_t work_max;  /* ns of one signer */
    uint64_t age_max;   /* ns */
    uint64_t hold;      /* ns that a batch waits to become full */
    struct list by_age; /* all jobs, the oldest in front */
};

/* `age` ns of `signers` signers, and `hold` as configured. The kinds have been measured. */
void queue_init(struct queue *queue, const struct kinds *kinds, uint64_t age, unsigned signers,
                uint64_t hold);
/* Frees the jobs that are left. */
void queue_destroy(struct queue *queue);

void flow_init(struct flow *flow);

/* False: too much waits; the job stays the caller's. `flow`: its client's of this kind. */
bool queue_submit(struct queue *queue, struct job *job, struct flow *flow, uint64_t now);
/* True: the job was still waiting and is the caller's again. */
bool queue_withdraw(struct queue *queue, struct job *job);
/* Moves what has waited for too long to `late`, with its error set. */
void queue_expire(struct queue *queue, uint64_t now, struct list *late);
/* So much time does not count towards the age of those that wait now. */
void queue_forgive(struct queue *queue, uint64_t ns);

/* The line to be served next among those of classes from..to, or NULL. */
struct line *queue_next(struct queue *queue, enum cost from, enum cost to, uint64_t now);
/* Takes a batch off a line, and moves what it finds past its deadline to `late`. Returns how many
 * are in the batch. */
size_t queue_take(struct queue *queue, struct line *line, uint64_t now,
                  struct job *batch[static BACKEND_BATCH_MAX], struct list *late);
/* Takes the only job of a client beside whom another floods the line; NULL: there is none such. */
struct job *queue_take_beside_flood(struct queue *queue, enum cost from, enum cost to,
                                    uint64_t now);
/* A batch of the kind took `ns`. */
void queue_charge(struct queue *queue, const struct kind *kind, uint64_t ns);

/* How many jobs of a class wait. */
size_t queue_waiting(const struct queue *queue, enum cost cost);
/* How long the oldest job has waited, ns; 0: none waits. */
uint64_t queue_age(const struct queue *queue, uint64_t now);
/* When to look again though nothing has happened, ns; UINT64_MAX: never. */
uint64_t queue_wake(const struct queue *queue, uint64_t now);

#endif
