/*
 * The jobs that wait to be signed. Only the event loop uses the queue, so it needs no lock.
 *
 * Who is served next depends on how much of the signers' time each has received: start-time fair
 * queueing (Goyal, Vin, Cheng 1996) on three levels. First come the accounts, then the sessions of
 * an account, then the kinds of key that a session asks for (keyd/rules/share.h). Cheap kinds are
 * charged an eighth, so that a session's ECDSA does not wait behind its RSA.
 *
 * Since a batch holds jobs of one kind, there is a line for each kind. The job that comes first by
 * the rule above chooses the line, and the others in the line follow it by the same rule until the
 * batch is full.
 *
 *     queue                    line (kind)
 *       account  --share         portion: an account's jobs of the kind, by what it has received
 *         session  --share         flow: a session's jobs of the kind, by what it has received
 *           kind  --share            job, job, job: first come, first served
 *
 * The queue is bounded in time. A job is refused if the waiting jobs would keep all signers busy
 * for longer than `age`, and its account, or its session within the account, has more than an equal
 * share of that time. A job that has waited for longer than `age` is given up.
 */
#ifndef KEYD_SIGN_QUEUE_H
#define KEYD_SIGN_QUEUE_H

#include "base/heap.h"
#include "keyd/rules/share.h"
#include "keyd/sign/job.h"
#include "keyd/sign/kind.h"

/* A session's jobs of one kind. */
struct queue_flow {
    struct heap_node node; /* in the portion, by what the session has received */
    struct share share;    /* in the session */
    struct queue_session *session;
    struct list jobs;
};

/* A session, as the queue sees it. */
struct queue_session {
    struct share share; /* in the account */
    struct account_share *account;
    struct queue_flow *flows; /* by kind */
};

struct line {
    const struct kind *kind;
    struct heap portions;
    size_t jobs;
};

struct queue {
    struct share share; /* everything */
    struct line lines[KINDS_MAX];
    size_t line_count, line_room; /* sessions have room for more lines than there are at first */
    uint64_t work_max;            /* ns of one signer */
    uint64_t age_max;             /* ns */
    uint64_t hold;                /* ns that a batch waits to become full */
    struct list by_age;           /* all jobs, the oldest first */
};

/* Who asks for the next line: the event loop signs only quick jobs, and the threads leave those to
 * it as long as it can do all of them in one turn. */
enum queue_for { QUEUE_FOR_LOOP, QUEUE_FOR_THREADS };

/* The event loop begins no signature after this time in one turn. */
#define QUEUE_LOOP_TIME (100 * NS_PER_US)

#define QUEUE_LINES_MORE 4 /* for kinds that come at run time */

/* Bounds the queue to `age` ns of `signers` signers. `kinds` is complete; its kinds are measured
 * before the first job comes. */
void queue_init(struct queue *queue, const struct kinds *kinds, uint64_t age, unsigned signers,
                uint64_t hold);
/* Makes room for lines that come at run time, before the first session. */
void queue_make_room(struct queue *queue);
/* Whether the queue has a line for this kind, which may be new. */
bool queue_has_line(struct queue *queue, const struct kind *kind);
/* Frees the jobs that are left. */
void queue_destroy(struct queue *queue);

/* False: out of memory. */
bool queue_open_session(struct queue *queue, struct queue_session *session,
                        struct account_share *account);
/* The session must have no jobs, neither waiting nor being signed. */
void queue_close_session(struct queue_session *session);

/* False: the queue is full, or memory is short; the caller keeps the job. */
bool queue_submit(struct queue *queue, struct job *job, struct queue_session *session,
                  uint64_t now);
/* True: the job was still waiting, and the caller owns it again. */
bool queue_withdraw(struct queue *queue, struct job *job);
/* Moves the jobs that have waited for too long to `late`, with their error set. */
void queue_expire(struct queue *queue, uint64_t now, struct list *late);
/* Reduces the age of all waiting jobs by `ns`. */
void queue_forgive(struct queue *queue, uint64_t ns);

/* The line whose first job comes next, or NULL. */
struct line *queue_next(struct queue *queue, enum queue_for who, uint64_t now);
/* Whether the first job of the line belongs to somebody to whom time is owed (share_is_owed): who
 * asks for less than a share of the signers, and should not wait for those who ask for more. */
bool queue_owes(const struct line *line);
/* Takes a batch of at most `most` jobs off the line, charges their owners the expected time, and
 * moves the jobs that it finds past their deadlines to `late`. Returns the size of the batch. */
size_t queue_take(struct queue *queue, struct line *line, enum queue_for who, size_t most,
                  uint64_t now, struct job *batch[static DRIVER_BATCH_MAX], struct list *late);
/* Charges the owners of a batch the time that it took, in place of the expected time. */
void queue_charge(struct queue *queue, struct job *const *batch, size_t count, uint64_t ns);

/* How long the oldest job has waited, ns; 0 if none waits. */
uint64_t queue_age(const struct queue *queue, uint64_t now);
/* When to look again even if nothing has happened, ns; UINT64_MAX: never. */
uint64_t queue_wake(const struct queue *queue, uint64_t now);

#endif
