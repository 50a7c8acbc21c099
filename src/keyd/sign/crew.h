/*
 * The signer threads. Each has a mailbox for one batch: the event loop gives it, the thread signs
 * it, and the event loop collects it. Neither ever holds a lock that the other waits for.
 *
 * That matters because a signer thread may be preempted for long. With `yield` the threads have the
 * least scheduling weight, and use only the CPU time that others leave: the clients are event loops
 * that do not wait for signatures. Without it clients wait, and the threads have a weight somewhat
 * below that of the event loop.
 *
 * One more thread, the express, has the weight of the event loop and may preempt the others. It is
 * for two cases: the others make no progress because another process keeps the machine busy; or
 * they are all busy, and a job comes from somebody who has received less than a share (queue_owes).
 */
#ifndef KEYD_SIGN_CREW_H
#define KEYD_SIGN_CREW_H

#include "keyd/sign/signer.h"

struct crew;

/* NULL: reason logged. Returns when the threads have made their initial system calls, so that the
 * sandbox may be entered. */
struct crew *crew_start(const struct driver *const *drivers, unsigned threads, bool yield);
/* Waits for the batches that are being signed, and frees everything. */
void crew_stop(struct crew *crew);

/* Only the event loop calls these functions and the following ones. The eventfd is readable when
 * there is something to collect. */
int crew_wake(const struct crew *crew);
/* Resets the eventfd; crew_collect() must follow. */
void crew_woken(struct crew *crew);
/* An idle thread, or NULL. */
struct crew_member *crew_idle(struct crew *crew);
/* The express, or NULL if it is busy. */
struct crew_member *crew_express(struct crew *crew);
/* Any thread, the express included, for the tests at the start; NULL: there are fewer. */
struct crew_member *crew_get(struct crew *crew, size_t index);
/* Hands a batch of one kind to an idle thread. */
void crew_give(struct crew *crew, struct crew_member *member, struct job *const *batch,
               size_t count, uint64_t now);
/* Returns the size of the next finished batch and the time that it took; 0: there is no more. */
size_t crew_collect(struct crew *crew, struct job *batch[static DRIVER_BATCH_MAX], uint64_t *ns,
                    uint64_t now);
/* Has every thread let go of the keys that it has used: now, or when its batch is collected. */
void crew_clear(struct crew *crew);
/* When the threads count as held up, unless a batch is done before then, so that the express takes
 * any work. UINT64_MAX: never, because a thread is idle or the express is busy. */
uint64_t crew_held_up(const struct crew *crew);

#endif
