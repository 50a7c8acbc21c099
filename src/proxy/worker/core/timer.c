#include "proxy/worker/core/timer.h"

void timer_queue_init(struct timer_queue *queue, uint64_t duration,
                      void (*expired)(struct timer *timer))
{
    queue->duration = duration;
    queue->expired = expired;
    list_init(&queue->timers);
}

void timer_start(struct timer_queue *queue, struct timer *timer, uint64_t now)
{
    timer->expires = now + queue->duration;
    list_remove(&timer->node);
    list_append(&queue->timers, &timer->node);
}

void timer_stop(struct timer *timer)
{
    list_remove(&timer->node);
}

static struct timer *first(const struct timer_queue *queue)
{
    return list_empty(&queue->timers) ? NULL : list_entry(queue->timers.next, struct timer, node);
}

uint64_t timer_queue_next(const struct timer_queue *queue)
{
    const struct timer *timer = first(queue);
    return timer != NULL ? timer->expires : UINT64_MAX;
}

bool timer_queue_run(struct timer_queue *queue, uint64_t now)
{
    struct timer *timer = first(queue);
    if (timer == NULL || timer->expires > now)
        return false;
    timer_stop(timer);
    queue->expired(timer);
    return true;
}
