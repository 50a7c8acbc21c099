#include "keyd/scheduler.h"

/* So many cheap jobs the event loop signs itself; if there are more, threads help. */
#define CHEAP_FEW 8

static void append(struct list *done, struct job *const *batch, size_t count)
{
    for (size_t i = 0; i < count; i++)
        list_append(done, &batch[i]->queue_node);
}

static void collect(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    struct job *batch[BACKEND_BATCH_MAX];
    uint64_t ns;
    for (size_t count; (count = crew_collect(scheduler->crew, batch, &ns, now)) > 0;) {
        queue_charge(&scheduler->queue, batch[0]->key->kind, ns);
        append(done, batch, count);
    }
}

static void note_batch(struct scheduler *scheduler, const struct kind *kind, size_t count)
{
    scheduler->batches++;
    if (kind_backend(kind, count)->lanes) {
        scheduler->lane_batches++;
        scheduler->lanes_filled += count;
    }
}

static size_t take(struct scheduler *scheduler, struct line *line, uint64_t now, struct job **batch,
                   struct list *done)
{
    size_t count = queue_take(&scheduler->queue, line, now, batch, done);
    if (count > 0)
        note_batch(scheduler, line->kind, count);
    return count;
}

/* The classes that threads serve: few cheap jobs are left to the event loop. */
static enum cost cheapest(const struct scheduler *scheduler)
{
    return queue_waiting(&scheduler->queue, COST_CHEAP) <= CHEAP_FEW ? COST_MEDIUM : COST_CHEAP;
}

/* False: nothing waits that a thread should take. */
static bool give_to(struct scheduler *scheduler, struct crew_member *member, uint64_t now,
                    struct list *done)
{
    struct job *batch[BACKEND_BATCH_MAX];
    struct line *line = queue_next(&scheduler->queue, cheapest(scheduler), COST_HEAVY, now);
    if (line == NULL)
        return false;
    size_t count = take(scheduler, line, now, batch, done);
    if (count > 0)
        crew_give(scheduler->crew, member, batch, count, now);
    return true;
}

static void give_to_express(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    struct crew_member *express = crew_express(scheduler->crew);
    if (express == NULL)
        return;
    struct job *job = queue_take_beside_flood(&scheduler->queue, COST_MEDIUM, COST_HEAVY, now);
    if (job != NULL) {
        note_batch(scheduler, job->key->kind, 1);
        crew_give(scheduler->crew, express, &job, 1, now);
    } else if (now >= crew_held_up(scheduler->crew)) {
        give_to(scheduler, express, now, done);
    }
}

static void give_out(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    struct crew_member *member;
    while ((member = crew_idle(scheduler->crew)) != NULL)
        if (!give_to(scheduler, member, now, done))
            return;
    give_to_express(scheduler, now, done);
}

static void sign_cheap(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    struct job *batch[BACKEND_BATCH_MAX];
    struct line *line = queue_next(&scheduler->queue, COST_CHEAP, COST_CHEAP, now);
    size_t count = line != NULL ? take(scheduler, line, now, batch, done) : 0;
    if (count == 0)
        return;
    queue_charge(&scheduler->queue, line->kind, signer_sign(scheduler->signer, batch, count));
    append(done, batch, count);
}

void scheduler_run(struct scheduler *scheduler, uint64_t now, struct list *done)
{
    collect(scheduler, now, done);
    queue_expire(&scheduler->queue, now, done);
    give_out(scheduler, now, done);
    sign_cheap(scheduler, now, done);
}

uint64_t scheduler_deadline(struct scheduler *scheduler, uint64_t now)
{
    struct queue *queue = &scheduler->queue;
    if (queue_next(queue, COST_CHEAP, COST_CHEAP, now) != NULL)
        return now;
    uint64_t wake = queue_wake(queue, now);
    /* what `hold` keeps back is not for the express either, until queue_wake() */
    if (queue_next(queue, cheapest(scheduler), COST_HEAVY, now) == NULL)
        return wake;
    uint64_t held_up = crew_held_up(scheduler->crew);
    return held_up < wake ? held_up : wake;
}

void scheduler_stop(struct scheduler *scheduler)
{
    crew_stop(scheduler->crew);
    queue_destroy(&scheduler->queue);
    signer_release(scheduler->signer);
}
