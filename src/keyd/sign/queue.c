/*
 * Why the queue is more than a list.
 *
 * In one list for all, a client that sends ten thousand requests makes everybody else wait behind
 * them, and opening a hundred connections is a way to get a hundred times the service. Round robin
 * over sessions stops the first and not the second, and it counts requests, although an RSA-4096
 * signature costs a hundred times what a P-256 signature costs. Fair queueing by time received,
 * first between accounts and then between the sessions of one, stops both.
 *
 * The choice was between start-time fair queueing and deficit round robin. Deficit round robin
 * needs no heap, but it has to know what a job costs before it serves it. Here the cost is known
 * only afterwards: it depends on how full the batch was and on what signed in the end. So a job is
 * charged an estimate when it is taken, and the difference when it is done. Until it is done, the
 * estimate keeps a session from taking all threads at once.
 *
 * A batch can only hold keys of one kind, so each kind has a line. The fair order within a line is
 * a heap of accounts, each with a heap of sessions. One heap over all sessions would have to move
 * every session of an account whenever the account receives something.
 *
 * The bound is in time, not in jobs: a number of jobs that P-256 keys sign in a moment would keep
 * RSA-4096 keys busy for minutes, and TLS clients give up after some seconds. What cannot be signed
 * in time is refused at once, so that the client can ask elsewhere.
 */
#include "keyd/sign/queue.h"

#include <stdlib.h>

#include "base/clock.h"
#include "keyd/keys/compact.h"

/* Cheap kinds come first in a session until they take this many times the time of the others. */
static const unsigned weights[COST_CLASSES] = {[COST_QUICK] = 8, [COST_CHEAP] = 8, [COST_DEAR] = 1};

/* A longer message takes too long to hash for the event loop. */
#define QUICK_MESSAGE_MAX 4096

#define job_of(node, member) list_entry(node, struct job, member)

/* Sessions that are open already have room for it. */
bool queue_has_line(struct queue *queue, const struct kind *kind)
{
    if (kind->index < queue->line_count)
        return true;
    if (kind->index >= queue->line_room)
        return false;
    queue->lines[kind->index].kind = kind;
    queue->line_count = kind->index + 1;
    return true;
}

void queue_make_room(struct queue *queue)
{
    size_t room = queue->line_count + QUEUE_LINES_MORE;
    queue->line_room = room < KINDS_MAX ? room : KINDS_MAX;
}

void queue_init(struct queue *queue, const struct kinds *kinds, uint64_t age, unsigned signers,
                uint64_t hold)
{
    *queue = (struct queue){.line_count = kinds->count,
                            .line_room = kinds->count,
                            .work_max = age * signers,
                            .age_max = age,
                            .hold = hold};
    for (size_t i = 0; i < kinds->count; i++)
        queue->lines[i].kind = &kinds->kinds[i];
    list_init(&queue->by_age);
}

bool queue_open_session(struct queue *queue, struct queue_session *session,
                        struct account_share *account)
{
    *session = (struct queue_session){.share.parent = &account->share, .account = account};
    session->flows = calloc(queue->line_room, sizeof *session->flows);
    for (size_t i = 0; session->flows != NULL && i < queue->line_room; i++) {
        session->flows[i].share.parent = &session->share;
        session->flows[i].session = session;
        list_init(&session->flows[i].jobs);
    }
    return session->flows != NULL;
}

void queue_close_session(struct queue_session *session)
{
    free(session->flows);
}

static struct line *line_of(struct queue *queue, const struct job *job)
{
    return &queue->lines[job->key->kind->index];
}

static struct queue_flow *first_flow(const struct line *line)
{
    struct portion *portion = heap_entry(heap_first(&line->portions), struct portion, node);
    return heap_entry(heap_first(&portion->flows), struct queue_flow, node);
}

static struct job *first_job(const struct line *line)
{
    return job_of(first_flow(line)->jobs.next, queue_node);
}

/* Moves an account and a session to the places in the heaps that their `received` gives them. */
static void rank(struct queue *queue, struct queue_session *session)
{
    for (size_t i = 0; i < queue->line_count; i++) {
        struct portion *portion = &session->account->portions[i];
        if (session->flows[i].node.place != 0)
            heap_move(&portion->flows, &session->flows[i].node, session->share.received);
        if (portion->node.place != 0)
            heap_move(&queue->lines[i].portions, &portion->node, session->account->share.received);
    }
}

/* Charges `ns` more; a refund comes as the two's complement. */
static void charge(struct queue *queue, struct job *job, uint64_t ns)
{
    struct queue_session *session = job->flow->session;
    unsigned weight = weights[job->key->kind->cost];
    job->charged += ns;
    job->flow->share.received += job->charged / weight - (job->charged - ns) / weight;
    session->share.received += ns;
    session->account->share.received += ns;
    share_note_received(&job->flow->share);
    rank(queue, session);
}

/* Called when a flow gets its first job. */
static bool line_up(struct queue *queue, struct line *line, struct queue_flow *flow)
{
    struct account_share *account = flow->session->account;
    struct portion *portion = &account->portions[line - queue->lines];
    if (!heap_put(&portion->flows, &flow->node, flow->session->share.received))
        return false;
    if (portion->node.place != 0 ||
        heap_put(&line->portions, &portion->node, account->share.received))
        return true;
    heap_remove(&portion->flows, &flow->node);
    return false;
}

/* When the queue is full, a job is still accepted if its account has less than an equal share among
 * the accounts, or its session has less than an equal share within the account. */
static bool has_room(const struct queue *queue, const struct queue_session *session, uint64_t work)
{
    const struct share *account = &session->account->share;
    uint64_t of_account = queue->work_max / (queue->share.active + (account->jobs == 0));
    uint64_t of_session = of_account / (account->active + (session->share.jobs == 0));
    return queue->share.work + work <= queue->work_max || account->work + work <= of_account ||
           session->share.work + work <= of_session;
}

bool queue_submit(struct queue *queue, struct job *job, struct queue_session *session, uint64_t now)
{
    struct line *line = line_of(queue, job);
    struct queue_flow *flow = &session->flows[line - queue->lines];
    uint64_t work = kind_cost(line->kind);
    if (!has_room(queue, session, work))
        return false;
    share_join(&flow->share, work);
    if (list_empty(&flow->jobs) && !line_up(queue, line, flow)) {
        share_leave(&flow->share, work);
        return false;
    }
    list_append(&flow->jobs, &job->queue_node);
    list_append(&queue->by_age, &job->age_node);
    job->queued_at = now;
    job->waiting = true;
    job->flow = flow;
    line->jobs++;
    return true;
}

static void remove_job(struct queue *queue, struct job *job)
{
    struct line *line = line_of(queue, job);
    struct queue_flow *flow = job->flow;
    list_remove(&job->queue_node);
    list_remove(&job->age_node);
    job->waiting = false;
    line->jobs--;
    share_leave(&flow->share, kind_cost(line->kind));
    if (!list_empty(&flow->jobs))
        return;
    struct portion *portion = &flow->session->account->portions[line - queue->lines];
    heap_remove(&portion->flows, &flow->node);
    if (heap_first(&portion->flows) == NULL)
        heap_remove(&line->portions, &portion->node);
}

void queue_destroy(struct queue *queue)
{
    while (!list_empty(&queue->by_age)) {
        struct job *job = job_of(queue->by_age.next, age_node);
        remove_job(queue, job);
        job_free(job);
    }
    for (size_t i = 0; i < queue->line_count; i++)
        heap_release(&queue->lines[i].portions);
}

bool queue_withdraw(struct queue *queue, struct job *job)
{
    if (!job->waiting)
        return false;
    remove_job(queue, job);
    return true;
}

static void give_up(struct queue *queue, struct job *job, enum immure_error error,
                    struct list *late)
{
    remove_job(queue, job);
    job->error = error;
    list_append(late, &job->queue_node);
}

void queue_expire(struct queue *queue, uint64_t now, struct list *late)
{
    while (queue_age(queue, now) > queue->age_max)
        give_up(queue, job_of(queue->by_age.next, age_node), IMMURE_E_BUSY, late);
}

void queue_forgive(struct queue *queue, uint64_t ns)
{
    list_for_each(node, &queue->by_age) job_of(node, age_node)->queued_at += ns;
}

/* Whether the event loop may sign the first job of a line. */
static bool is_quick(const struct line *line)
{
    const struct job *job = first_job(line);
    return line->kind->cost == COST_QUICK && job->message_length <= QUICK_MESSAGE_MAX &&
           (!job->key->on_demand || compact_is_ready(job->key));
}

static bool is_for(const struct queue *queue, const struct line *line, enum queue_for who)
{
    if (who == QUEUE_FOR_LOOP)
        return is_quick(line);
    uint64_t quick = 0;
    for (size_t i = 0; i < queue->line_count; i++)
        if (queue->lines[i].kind->cost == COST_QUICK)
            quick += queue->lines[i].jobs * kind_cost(queue->lines[i].kind);
    return quick > QUEUE_LOOP_TIME || !is_quick(line);
}

/* When the line's hold ends; 0: it has none. */
static uint64_t held_until(const struct queue *queue, const struct line *line)
{
    if (queue->hold == 0 || line->kind->batch == NULL || line->jobs >= line->kind->hold_for)
        return 0;
    return first_job(line)->queued_at + queue->hold;
}

/* Whether the first job of one line comes before that of another. Of equals the cheaper is first.
 */
static bool precedes(const struct line *line, const struct line *other)
{
    const struct share *one = &first_flow(line)->share, *two = &first_flow(other)->share;
    const struct share *of_one[] = {one->parent->parent, one->parent, one};
    const struct share *of_two[] = {two->parent->parent, two->parent, two};
    for (size_t level = 0; level < 3; level++)
        if (of_one[level]->received != of_two[level]->received)
            return of_one[level]->received < of_two[level]->received;
    return line->kind->single_ns < other->kind->single_ns;
}

struct line *queue_next(struct queue *queue, enum queue_for who, uint64_t now)
{
    struct line *best = NULL;
    for (size_t i = 0; i < queue->line_count; i++) {
        struct line *line = &queue->lines[i];
        if (line->jobs > 0 && is_for(queue, line, who) && held_until(queue, line) <= now &&
            (best == NULL || precedes(line, best)))
            best = line;
    }
    return best;
}

bool queue_owes(const struct line *line)
{
    return share_is_owed(&first_flow(line)->share);
}

size_t queue_take(struct queue *queue, struct line *line, enum queue_for who, size_t most,
                  uint64_t now, struct job *batch[static DRIVER_BATCH_MAX], struct list *late)
{
    size_t count = 0;
    uint64_t each = kind_time(line->kind, most) / most;
    while (count < most && line->jobs > 0 && (who == QUEUE_FOR_THREADS || is_quick(line))) {
        struct job *job = first_job(line);
        if (job->deadline <= now) {
            give_up(queue, job, IMMURE_E_EXPIRED, late);
            continue;
        }
        remove_job(queue, job);
        job->queue_ns = now - job->queued_at;
        batch[count++] = job;
        share_serve(&job->flow->share);
        charge(queue, job, each);
    }
    return count;
}

void queue_charge(struct queue *queue, struct job *const *batch, size_t count, uint64_t ns)
{
    for (size_t i = 0; i < count; i++)
        charge(queue, batch[i], ns / count - batch[i]->charged);
}

uint64_t queue_age(const struct queue *queue, uint64_t now)
{
    if (list_empty(&queue->by_age))
        return 0;
    uint64_t queued_at = job_of(queue->by_age.next, age_node)->queued_at;
    return now > queued_at ? now - queued_at : 0;
}

uint64_t queue_wake(const struct queue *queue, uint64_t now)
{
    if (list_empty(&queue->by_age))
        return UINT64_MAX;
    uint64_t wake = job_of(queue->by_age.next, age_node)->queued_at + queue->age_max + 1;
    for (size_t i = 0; i < queue->line_count; i++) {
        uint64_t held = queue->lines[i].jobs > 0 ? held_until(queue, &queue->lines[i]) : 0;
        if (held > now && held < wake)
            wake = held;
    }
    return wake;
}
