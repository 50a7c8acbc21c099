#include "keyd/queue.h"

/* Cheap work comes first until it takes this many times the time of the others. */
static const uint64_t weights[COST_CLASSES] = {
    [COST_CHEAP] = 8, [COST_MEDIUM] = 1, [COST_HEAVY] = 1};

#define job_of(node, member) list_entry(node, struct job, member)
/* How many flows of a line are looked at for one beside a flood. */
#define LOOK_AHEAD 64

#define flow_of(list) list_entry((list), struct flow, node)

void queue_init(struct queue *queue, const struct kinds *kinds, uint64_t age, unsigned signers,
                uint64_t hold)
{
    *queue = (struct queue){
        .line_count = kinds->count, .work_max = age * signers, .age_max = age, .hold = hold};
    for (size_t i = 0; i < kinds->count; i++) {
        queue->lines[i].kind = &kinds->kinds[i];
        list_init(&queue->lines[i].flows);
    }
    list_init(&queue->by_age);
}

void flow_init(struct flow *flow)
{
    *flow = (struct flow){0};
    list_init(&flow->node);
    list_init(&flow->jobs);
}

/* What waits is bounded in time; a client that has less than its share of it is let in still. */
static bool has_room(const struct queue *queue, const struct job *job, const struct flow *flow)
{
    uint64_t cost = kind_cost(job->key->kind);
    size_t flows = queue->flows + list_empty(&flow->jobs);
    return queue->jobs < QUEUE_JOBS_MAX && queue->bytes + job->message_length <= QUEUE_BYTES_MAX &&
           (queue->work + cost <= queue->work_max || flow->work + cost <= queue->work_max / flows);
}

bool queue_submit(struct queue *queue, struct job *job, struct flow *flow, uint64_t now)
{
    if (!has_room(queue, job, flow))
        return false;
    struct line *line = &queue->lines[job->key->kind->index];
    /* a line gathers no credit while it has no work */
    if (line->jobs == 0 && line->virtual_time < queue->virtual_now)
        line->virtual_time = queue->virtual_now;
    if (list_empty(&flow->jobs)) {
        list_append(&line->flows, &flow->node);
        queue->flows++;
    }
    list_append(&flow->jobs, &job->queue_node);
    list_append(&queue->by_age, &job->age_node);
    job->queued_at = now;
    job->waiting = true;
    job->flow = flow;
    flow->work += kind_cost(line->kind);
    line->floods += ++flow->count == QUEUE_FLOOD;
    queue->work += kind_cost(line->kind);
    queue->bytes += job->message_length;
    queue->jobs++;
    line->jobs++;
    return true;
}

static void remove_job(struct queue *queue, struct job *job)
{
    struct line *line = &queue->lines[job->key->kind->index];
    struct flow *flow = job->flow;
    list_remove(&job->queue_node);
    list_remove(&job->age_node);
    job->waiting = false;
    flow->work -= kind_cost(line->kind);
    line->floods -= flow->count-- == QUEUE_FLOOD;
    queue->work -= kind_cost(line->kind);
    queue->bytes -= job->message_length;
    queue->jobs--;
    line->jobs--;
    if (list_empty(&flow->jobs)) {
        list_remove(&flow->node);
        queue->flows--;
    }
}

void queue_destroy(struct queue *queue)
{
    while (!list_empty(&queue->by_age)) {
        struct job *job = job_of(queue->by_age.next, age_node);
        remove_job(queue, job);
        job_free(job);
    }
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

/* The end of the line's hold; 0: there is none. */
static uint64_t held_until(const struct queue *queue, const struct line *line)
{
    if (queue->hold == 0 || line->kind->batch == NULL || line->jobs >= line->kind->enough)
        return 0;
    return job_of(flow_of(line->flows.next)->jobs.next, queue_node)->queued_at + queue->hold;
}

struct line *queue_next(struct queue *queue, enum cost from, enum cost to, uint64_t now)
{
    struct line *best = NULL;
    for (size_t i = 0; i < queue->line_count; i++) {
        struct line *line = &queue->lines[i];
        enum cost cost = line->kind->cost;
        if (line->jobs == 0 || cost < from || cost > to || held_until(queue, line) > now)
            continue;
        if (best == NULL || line->virtual_time < best->virtual_time ||
            (line->virtual_time == best->virtual_time && cost < best->kind->cost))
            best = line;
    }
    return best;
}

size_t queue_take(struct queue *queue, struct line *line, uint64_t now,
                  struct job *batch[static BACKEND_BATCH_MAX], struct list *late)
{
    size_t count = 0, wanted = kind_take(line->kind, line->jobs);
    while (count < wanted && line->jobs > 0) {
        struct flow *flow = flow_of(line->flows.next);
        struct job *job = job_of(flow->jobs.next, queue_node);
        if (job->deadline <= now) {
            give_up(queue, job, IMMURE_E_EXPIRED, late);
            continue;
        }
        remove_job(queue, job);
        job->queue_ns = now - job->queued_at;
        batch[count++] = job;
        if (list_linked(&flow->node)) { /* the next client's turn */
            list_remove(&flow->node);
            list_append(&line->flows, &flow->node);
        }
    }
    if (line->virtual_time > queue->virtual_now)
        queue->virtual_now = line->virtual_time;
    return count;
}

static struct job *find_lone_job(const struct line *line, uint64_t now)
{
    size_t looked = 0;
    list_for_each(node, &line->flows)
    {
        struct job *job = job_of(flow_of(node)->jobs.next, queue_node);
        if (flow_of(node)->count == 1 && job->deadline > now)
            return job;
        if (++looked == LOOK_AHEAD)
            break;
    }
    return NULL;
}

struct job *queue_take_beside_flood(struct queue *queue, enum cost from, enum cost to, uint64_t now)
{
    for (size_t i = 0; i < queue->line_count; i++) {
        struct line *line = &queue->lines[i];
        if (line->floods == 0 || line->kind->cost < from || line->kind->cost > to)
            continue;
        struct job *job = find_lone_job(line, now);
        if (job == NULL)
            continue;
        remove_job(queue, job);
        job->queue_ns = now - job->queued_at;
        return job;
    }
    return NULL;
}

void queue_charge(struct queue *queue, const struct kind *kind, uint64_t ns)
{
    queue->lines[kind->index].virtual_time += ns / weights[kind->cost];
}

size_t queue_waiting(const struct queue *queue, enum cost cost)
{
    size_t count = 0;
    for (size_t i = 0; i < queue->line_count; i++)
        if (queue->lines[i].kind->cost == cost)
            count += queue->lines[i].jobs;
    return count;
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
