#include "loop/timers.h"

void timer_init(struct timer *timer, void (*expired)(struct timer *timer))
{
    *timer = (struct timer){.expired = expired};
    list_init(&timer->unplaced);
}

bool timer_is_running(const struct timer *timer)
{
    return timer->node.place != 0 || list_linked(&timer->unplaced);
}

void timers_init(struct timers *timers)
{
    *timers = (struct timers){.heap = {.nodes = NULL}};
    list_init(&timers->unplaced);
}

void timers_release(struct timers *timers)
{
    heap_release(&timers->heap);
}

void timers_start(struct timers *timers, struct timer *timer, uint64_t expires)
{
    timer->expires = expires;
    if (timer->node.place == 0) {
        list_remove(&timer->unplaced);
        if (!heap_put(&timers->heap, &timer->node, expires))
            list_append(&timers->unplaced, &timer->unplaced);
    } else if (expires < timer->node.key) {
        heap_move(&timers->heap, &timer->node, expires);
    }
}

void timers_stop(struct timers *timers, struct timer *timer)
{
    if (timer->node.place != 0)
        heap_remove(&timers->heap, &timer->node);
    list_remove(&timer->unplaced);
}

uint64_t timers_next(const struct timers *timers)
{
    const struct heap_node *first = heap_first(&timers->heap);
    if (!list_empty(&timers->unplaced))
        return 0;
    return first != NULL ? first->key : UINT64_MAX;
}

static struct timer *first_due(const struct timers *timers, uint64_t now)
{
    struct heap_node *first = heap_first(&timers->heap);
    if (!list_empty(&timers->unplaced))
        return list_entry(timers->unplaced.next, struct timer, unplaced);
    return first != NULL && first->key <= now ? heap_entry(first, struct timer, node) : NULL;
}

bool timers_run(struct timers *timers, uint64_t now)
{
    struct timer *timer = first_due(timers, now);
    if (timer == NULL)
        return false;
    if (timer->node.place != 0 && timer->expires > timer->node.key) {
        heap_move(&timers->heap, &timer->node, timer->expires);
        return true;
    }
    timers_stop(timers, timer);
    timer->expired(timer);
    return true;
}
