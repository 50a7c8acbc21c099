/*
 * Why the event loop signs, too, and why one thread is kept back.
 *
 * Waking a thread takes time, and the kernel may let a thread of less weight wait for a tick. If
 * threads signed everything, a quick signature would wait for its thread longer than it takes to
 * make. If the event loop signed everything, one RSA-4096 signature would hold up all sessions for
 * milliseconds. So the event loop signs what was measured to be quick, for at most QUEUE_LOOP_TIME
 * in a turn, and leaves quick jobs to the threads when there are more than fit into that time.
 *
 * A thread takes what waits and does not wait for a fuller batch: under load a batch fills by
 * itself while the one before it is being signed, and without load waiting would only add latency.
 * The directive `hold` is for those who prefer to save CPU time.
 *
 * A batch cannot be interrupted. While all threads are busy with expensive batches, a client that
 * asks for little would wait for one of them to end, and threads that yield may not run at all.
 * Preempting by priority would need real-time scheduling, which an unprivileged process does not
 * have. So one more thread, the express, stays idle for these two cases. It takes one job of
 * somebody to whom time is owed, or any batch if the others make no progress.
 */
#include "keyd/sign/scheduler.h"

static void append(struct list *done, struct job *const *batch, size_t count)
{
    for (size_t i = 0; i < count; i++)
        list_append(done, &batch[i]->queue_node);
}

static void note_batch(struct scheduler *scheduler, const struct kind *kind, size_t count)
{
    scheduler->batches++;
    if (kind_driver(kind, count)->lanes) {
        scheduler->lane_batches++;
        scheduler->lanes_filled += count;
    }
}

static void lend(struct job *const *batch, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (batch[i]->key->on_demand)
            compact_lend(batch[i]->key);
}

static void take_back(struct scheduler *scheduler, struct job *const *batch, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (batch[i]->key->on_demand)
            compact_take_back(scheduler->keys, batch[i]->key);
}

static void collect(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    struct job *batch[DRIVER_BATCH_MAX];
    uint64_t ns;
    for (size_t count; (count = crew_collect(scheduler->crew, batch, &ns, now)) > 0;) {
        note_batch(scheduler, batch[0]->key->kind, count);
        queue_charge(&scheduler->queue, batch, count, ns);
        take_back(scheduler, batch, count);
        append(done, batch, count);
    }
}

static void give_to(struct scheduler *scheduler, struct crew_member *member, struct line *line,
                    size_t most, uint64_t now, struct list *done)
{
    struct job *batch[DRIVER_BATCH_MAX];
    size_t count = queue_take(&scheduler->queue, line, QUEUE_FOR_THREADS, most, now, batch, done);
    if (count == 0)
        return;
    lend(batch, count);
    crew_give(scheduler->crew, member, batch, count, now);
}

/* Called when all threads are busy. */
static void give_to_express(struct scheduler *scheduler, struct line *line, uint64_t now,
                            struct list *done)
{
    struct crew_member *express = crew_express(scheduler->crew);
    if (express == NULL)
        return;
    if (queue_owes(line))
        give_to(scheduler, express, line, 1, now, done);
    else if (now >= crew_held_up(scheduler->crew))
        give_to(scheduler, express, line, kind_take(line->kind, line->jobs), now, done);
}

static void give_out(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    struct line *line;
    while ((line = queue_next(&scheduler->queue, QUEUE_FOR_THREADS, now)) != NULL) {
        struct crew_member *member = crew_idle(scheduler->crew);
        if (member == NULL) {
            give_to_express(scheduler, line, now, done);
            return;
        }
        give_to(scheduler, member, line, kind_take(line->kind, line->jobs), now, done);
    }
}

/* How many jobs of a line the event loop signs in `ns`; 0: the time is too short. It signs at least
 * one in every turn. Jobs that are cheaper in a batch are not signed one by one when time runs out:
 * they wait for the next turn. */
static size_t fit(const struct line *line, uint64_t ns)
{
    size_t most = kind_take(line->kind, line->jobs);
    bool first = ns == QUEUE_LOOP_TIME;
    if (kind_time(line->kind, most) <= ns)
        return most;
    if (line->kind->batch != NULL && !first)
        return 0;
    size_t singles = (size_t)(ns / line->kind->single_ns);
    return singles > 0 ? singles : first;
}

static void sign_quick(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    struct job *batch[DRIVER_BATCH_MAX];
    struct line *line;
    size_t most;
    uint64_t left = QUEUE_LOOP_TIME;
    while (left > 0 && (line = queue_next(&scheduler->queue, QUEUE_FOR_LOOP, now)) != NULL &&
           (most = fit(line, left)) > 0) {
        size_t count = queue_take(&scheduler->queue, line, QUEUE_FOR_LOOP, most, now, batch, done);
        if (count == 0)
            continue;
        lend(batch, count);
        uint64_t took = signer_sign(scheduler->signer, batch, count);
        take_back(scheduler, batch, count);
        note_batch(scheduler, line->kind, count);
        queue_charge(&scheduler->queue, batch, count, took);
        append(done, batch, count);
        left -= took < left ? took : left;
    }
}

void scheduler_run(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    collect(scheduler, now, done);
    queue_expire(&scheduler->queue, now, done);
    give_out(scheduler, now, done);
    sign_quick(scheduler, now, done);
}

uint64_t scheduler_deadline(struct scheduler *scheduler, uint64_t now)
{
    struct queue *queue = &scheduler->queue;
    if (queue_next(queue, QUEUE_FOR_LOOP, now) != NULL)
        return now;
    uint64_t wake = queue_wake(queue, now);
    /* the express does not take jobs that `hold` keeps back either */
    if (queue_next(queue, QUEUE_FOR_THREADS, now) == NULL)
        return wake;
    uint64_t held_up = crew_held_up(scheduler->crew);
    return held_up < wake ? held_up : wake;
}

void scheduler_clear(struct scheduler *scheduler)
{
    crew_clear(scheduler->crew);
    signer_clear(scheduler->signer);
}

void scheduler_stop(struct scheduler *scheduler)
{
    crew_stop(scheduler->crew);
    queue_destroy(&scheduler->queue);
    signer_release(scheduler->signer);
}
