#include "keyd/queue.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"

/* How far behind the first job a batch looks for more of the same kind. */
#define LOOK_AHEAD 512

/* Cheap work comes first until it takes this many times the time of the others. */
static const uint64_t weights[COST_CLASSES] = {
    [COST_CHEAP] = 8, [COST_MEDIUM] = 1, [COST_HEAVY] = 1};

bool queue_init(struct queue *queue, queue_width *width)
{
    *queue = (struct queue){.width = width, .wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (queue->wake < 0)
        return false;
    for (size_t i = 0; i < COST_CLASSES; i++)
        list_init(&queue->classes[i].waiting);
    list_init(&queue->idle);
    list_init(&queue->idle_express);
    list_init(&queue->done);
    pthread_mutex_init(&queue->mutex, NULL);
    return true;
}

static void free_jobs(struct list *list)
{
    for (struct list *node; (node = list_take(list)) != NULL;)
        job_free(list_entry(node, struct job, queue_node));
}

void queue_destroy(struct queue *queue)
{
    for (size_t i = 0; i < COST_CLASSES; i++)
        free_jobs(&queue->classes[i].waiting);
    free_jobs(&queue->done);
    pthread_mutex_destroy(&queue->mutex);
    descriptor_close(&queue->wake);
}

void queue_seat_init(struct queue_seat *seat, bool express)
{
    seat->express = express;
    list_init(&seat->idle_node);
    pthread_cond_init(&seat->wake, NULL);
}

/* Who shall be woken for a job of this class; it is not idle from now on. */
static struct queue_seat *seat_to_wake(struct queue *queue, enum cost cost)
{
    struct list *node = cost == COST_CHEAP ? list_take(&queue->idle_express) : NULL;
    if (node == NULL)
        node = list_take(&queue->idle);
    return node != NULL ? list_entry(node, struct queue_seat, idle_node) : NULL;
}

bool queue_submit(struct queue *queue, struct job *job, uint64_t now)
{
    struct queue_class *class = &queue->classes[job->key->cost];
    pthread_mutex_lock(&queue->mutex);
    bool room =
        queue->jobs < QUEUE_JOBS_MAX && queue->bytes + job->message_length <= QUEUE_BYTES_MAX;
    struct queue_seat *seat = NULL;
    if (room) {
        job->queued_at = now;
        job->waiting = true;
        queue->jobs++;
        queue->bytes += job->message_length;
        /* a class gathers no credit while it has no work */
        if (list_empty(&class->waiting) && class->virtual_time < queue->virtual_now)
            class->virtual_time = queue->virtual_now;
        list_append(&class->waiting, &job->queue_node);
        seat = seat_to_wake(queue, job->key->cost);
    }
    pthread_mutex_unlock(&queue->mutex);
    if (seat != NULL)
        pthread_cond_signal(&seat->wake);
    return room;
}

static void remove_waiting(struct queue *queue, struct job *job)
{
    list_remove(&job->queue_node);
    job->waiting = false;
    queue->jobs--;
    queue->bytes -= job->message_length;
}

bool queue_withdraw(struct queue *queue, struct job *job)
{
    pthread_mutex_lock(&queue->mutex);
    bool waiting = job->waiting;
    if (waiting)
        remove_waiting(queue, job);
    pthread_mutex_unlock(&queue->mutex);
    return waiting;
}

/* The event loop is told once until it collects. Returns whether the caller has to. */
static bool append_done(struct queue *queue, struct job *job)
{
    list_append(&queue->done, &job->queue_node);
    bool tell = !queue->done_told;
    queue->done_told = true;
    return tell;
}

static void tell(struct queue *queue)
{
    ssize_t written = write(queue->wake, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* it cannot overflow: it is read before it is written again */
}

void queue_collect(struct queue *queue, struct list *done)
{
    uint64_t count;
    ssize_t got = read(queue->wake, &count, sizeof count);
    (void)got; /* EAGAIN: there was nothing */
    pthread_mutex_lock(&queue->mutex);
    queue->done_told = false;
    list_move_all(done, &queue->done);
    pthread_mutex_unlock(&queue->mutex);
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    struct list *lists[] = {&queue->idle, &queue->idle_express};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (struct list *node; (node = list_take(lists[i])) != NULL;)
            pthread_cond_signal(&list_entry(node, struct queue_seat, idle_node)->wake);
    pthread_mutex_unlock(&queue->mutex);
}

static struct queue_class *class_to_serve(struct queue *queue, bool express)
{
    struct queue_class *best = NULL;
    for (int cost = COST_CHEAP; cost < (express ? COST_MEDIUM : COST_CLASSES); cost++) {
        struct queue_class *class = &queue->classes[cost];
        if (!list_empty(&class->waiting) &&
            (best == NULL || class->virtual_time < best->virtual_time))
            best = class;
    }
    return best;
}

/* Takes a batch of one kind off the class's front; what is too late goes to `done` on the way. */
static size_t take_batch(struct queue *queue, struct queue_class *class, struct job **batch,
                         bool *expired)
{
    uint64_t now = clock_now();
    size_t count = 0, width = 1, looked = 0;
    list_for_each(node, &class->waiting)
    {
        struct job *job = list_entry(node, struct job, queue_node);
        if (job->deadline <= now) {
            remove_waiting(queue, job);
            job->error = IMMURE_E_EXPIRED;
            *expired |= append_done(queue, job);
            continue;
        }
        if (count == 0) {
            width = queue->width(job->key);
            width = width < QUEUE_BATCH_MAX ? width : QUEUE_BATCH_MAX;
        }
        if (count == 0 || key_same_kind(job->key, batch[0]->key)) {
            remove_waiting(queue, job);
            job->queue_ns = now - job->queued_at;
            batch[count++] = job;
        }
        if (count == width || ++looked == LOOK_AHEAD)
            break;
    }
    return count;
}

size_t queue_take(struct queue *queue, struct queue_seat *seat, struct job **batch)
{
    size_t count = 0;
    pthread_mutex_lock(&queue->mutex);
    while (count == 0) {
        bool expired = false;
        struct queue_class *class = class_to_serve(queue, seat->express);
        if (class != NULL) {
            count = take_batch(queue, class, batch, &expired);
            if (class->virtual_time > queue->virtual_now)
                queue->virtual_now = class->virtual_time;
        } else if (queue->closed) {
            break;
        } else {
            struct list *idle = seat->express ? &queue->idle_express : &queue->idle;
            list_append(idle->next, &seat->idle_node);
            while (list_linked(&seat->idle_node))
                pthread_cond_wait(&seat->wake, &queue->mutex);
        }
        if (expired)
            tell(queue);
    }
    queue->batches += count > 0;
    pthread_mutex_unlock(&queue->mutex);
    return count;
}

void queue_finish(struct queue *queue, struct job *const *batch, size_t count, uint64_t ns)
{
    bool untold = false;
    enum cost cost = batch[0]->key->cost;
    pthread_mutex_lock(&queue->mutex);
    queue->classes[cost].virtual_time += ns / weights[cost];
    for (size_t i = 0; i < count; i++)
        untold |= append_done(queue, batch[i]);
    pthread_mutex_unlock(&queue->mutex);
    if (untold)
        tell(queue);
}

struct queue_figures queue_figures(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    struct queue_figures figures = {.jobs = queue->jobs, .batches = queue->batches};
    pthread_mutex_unlock(&queue->mutex);
    return figures;
}
