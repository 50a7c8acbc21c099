/*
 * The signer threads. Each has a mailbox for one batch: the event loop gives, the thread signs, the
 * event loop collects; neither ever holds a lock that the other waits for.
 *
 * That matters where they yield, for event loops that do not wait for them: then the threads have
 * the least weight there is, and use what others leave. Where they do not yield, clients wait for
 * what they sign, and they have a weight somewhat below that of others.
 *
 * One more thread, the express, has the weight of the event loop and may take the core from the
 * others. It is for two cases: the others make no progress, because somebody else keeps the machine
 * busy; or they are all busy with what others ask for, and somebody comes who has received less
 * than a share (queue_owes).
 */
#ifndef KEYD_SIGN_CREW_H
#define KEYD_SIGN_CREW_H

#include "keyd/sign/signer.h"

struct crew;

/* NULL: reason logged. Returns when the threads have made the system calls that they begin with:
 * the doors may close. */
struct crew *crew_start(const struct driver *const *drivers, unsigned threads, bool yield);
/* Waits for what is being signed and frees all. */
void crew_stop(struct crew *crew);

/* The event loop's, all that follow. Readable (an eventfd) when there is something to collect. */
int crew_wake(const struct crew *crew);
/* It was readable: look, by crew_collect(). */
void crew_woken(struct crew *crew);
/* A thread without work, or NULL. */
struct crew_member *crew_idle(struct crew *crew);
/* The express, if it is without work, or NULL. */
struct crew_member *crew_express(struct crew *crew);
/* For the tests at the start: any one, the express included; NULL: there are fewer. */
struct crew_member *crew_get(struct crew *crew, size_t index);
/* Hands over a batch of one kind; the thread has none. */
void crew_give(struct crew *crew, struct crew_member *member, struct job *const *batch,
               size_t count, uint64_t now);
/* The next batch that is done; returns its jobs' count and how long it took, 0: there is no more.
 */
size_t crew_collect(struct crew *crew, struct job *batch[static DRIVER_BATCH_MAX], uint64_t *ns,
                    uint64_t now);
/* From when on the others are held up, if no batch is done until then, and the express is to take
 * any work; UINT64_MAX: never, because one is free, or the express is busy. */
uint64_t crew_held_up(const struct crew *crew);

#endif
