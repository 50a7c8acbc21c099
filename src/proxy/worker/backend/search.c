#include "proxy/worker/backend/search.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

/* After that the client is told, even if there are servers that have not been tried. */
#define SEARCH_LIMIT (30 * NS_PER_S)
/* How many servers of a search may refuse within one turn, and how many connections of a queue are
 * served in one. */
#define TRIES_IN_TURN 4
#define SERVED_IN_TURN 16
/* Connections that wait do not choose, and only who chooses finds a server whose pause is over. So
 * they look for one from time to time. */
#define LOOK_PAUSE (100 * NS_PER_MS)

static void choose(struct search *search);

static struct loop *loop_of(const struct search *search)
{
    return search->pool->pools->loop;
}

static void finish(struct search *search, int cause)
{
    search->done(search, cause);
}

/* ---- the queue ---- */

static void note_first(struct pool *pool)
{
    uint64_t since = UINT64_MAX;
    if (!list_empty(&pool->queue))
        since = list_entry(pool->queue.next, struct search, node)->waits_since;
    queue_note(pool->shared, pool->pools->thread, since);
}

static void leave_queue(struct search *search)
{
    struct pool *pool = search->pool;
    timer_stop(loop_of(search), &search->timer);
    list_remove(&search->node);
    metric_add(&pool->pools->metrics->queued, (uint64_t)-1);
    if (list_empty(&pool->queue))
        list_remove(&pool->waiting);
    note_first(pool);
    queue_leave(pool->shared);
    search->deadline = loop_of(search)->now + SEARCH_LIMIT;
}

static void queue_expired(struct timer *timer)
{
    struct search *search = list_entry(timer, struct search, timer);
    struct pool *pool = search->pool;
    metric_add(&pool->pools->metrics->queue_timeouts_total, 1);
    if (log_due(&pool->queue_logged, loop_of(search)->now))
        log_warning("backend \"%s\": a client is closed after %" PRIu64
                    " ms in the queue: all servers have their max-connections",
                    pool->name, pool->config->queue_timeout / NS_PER_MS);
    leave_queue(search);
    queue_wake(pool->shared); /* this thread may have been woken for it */
    finish(search, ETIMEDOUT);
}

static void refuse_for_queue(struct search *search)
{
    struct pool *pool = search->pool;
    metric_add(&pool->pools->metrics->queue_full_total, 1);
    if (log_due(&pool->queue_logged, loop_of(search)->now))
        log_warning("backend \"%s\": a client is closed: all servers have their max-connections, "
                    "and the queue has its %zu connections",
                    pool->name, pool->config->queue);
    finish(search, EBUSY);
}

static void refuse_for_drain(struct search *search)
{
    struct pool *pool = search->pool;
    metric_add(&pool->pools->metrics->backend_drained_total, 1);
    if (log_due(&pool->shut_logged, loop_of(search)->now))
        log_warning("backend \"%s\": a client is closed: the operator has drained or disabled all "
                    "servers",
                    pool->name);
    finish(search, EHOSTDOWN);
}

static void wait_for_room(struct search *search)
{
    struct pool *pool = search->pool;
    struct pools *pools = pool->pools;
    if (!queue_enter(pool->shared)) {
        refuse_for_queue(search);
        return;
    }
    metric_add(&pools->metrics->queued, 1);
    search->waits_since = pools->loop->now;
    if (list_empty(&pools->waiting))
        timer_start(pools->loop, &pools->look, LOOK_PAUSE);
    if (list_empty(&pool->queue))
        list_append(&pools->waiting, &pool->waiting);
    list_append(&pool->queue, &search->node);
    search->timer.expired = queue_expired;
    timer_start(pools->loop, &search->timer, pool->config->queue_timeout);
    note_first(pool);
    queue_wake(pool->shared); /* a place may have been given back just before */
}

/* ---- one server after the other ---- */

static void resume(struct timer *timer)
{
    choose(list_entry(timer, struct search, timer));
}

static void go_on_in_next_turn(struct search *search)
{
    search->timer.expired = resume;
    timer_start(loop_of(search), &search->timer, 0);
}

static void connect_to_chosen(struct search *search)
{
    const struct pool *pool = search->pool;
    uint64_t limit = pool->connect_timeout;
    if (search->candidate.tries > 0)
        metric_add(&pool->pools->metrics->backend_retries_total, 1);
    if (!search->candidate.last && limit > CONNECT_NEXT)
        limit = CONNECT_NEXT;
    connect_begin(&search->server, pool->pools->loop, search->candidate.server, limit);
}

static void act(struct search *search, enum pool_choice choice)
{
    switch (choice) {
    case POOL_CHOSEN:
        connect_to_chosen(search);
        break;
    case POOL_FULL:
        wait_for_room(search);
        break;
    case POOL_MORE:
        go_on_in_next_turn(search);
        break;
    case POOL_NONE:
        finish(search, search->cause);
        break;
    case POOL_SHUT:
        refuse_for_drain(search);
        break;
    }
}

static void choose(struct search *search)
{
    act(search, pool_choose(search->pool, &search->candidate));
}

static void leave_server(struct search *search)
{
    connect_close(&search->server, loop_of(search));
    pool_leave(search->pool, search->candidate.server);
    search->candidate.server = NULL;
}

/* Counts the failure of the server, and leaves it. Returns whether another one is to be tried. */
static bool has_failed(struct search *search, int cause)
{
    bool more = pool_failed(search->pool, &search->candidate, cause);
    leave_server(search);
    search->cause = cause;
    search->candidate.tries++;
    return more && loop_of(search)->now < search->deadline;
}

static void try_another(struct search *search)
{
    if (search->candidate.tries % TRIES_IN_TURN == 0)
        go_on_in_next_turn(search);
    else
        choose(search);
}

static void connected(struct server_connection *server, int cause)
{
    struct search *search = list_entry(server, struct search, server);
    if (cause == 0) {
        search->connected_at = loop_of(search)->now;
        pool_connected(search->pool, &search->candidate);
        finish(search, 0);
    } else if (has_failed(search, cause)) {
        try_another(search);
    } else {
        finish(search, cause);
    }
}

bool search_again(struct search *search, int cause)
{
    if (loop_of(search)->now - search->connected_at > search->pool->connect_timeout ||
        !has_failed(search, cause))
        return false;
    go_on_in_next_turn(search);
    return true;
}

void search_step(struct search *search)
{
    if (search->server.watch.descriptor >= 0)
        connect_step(&search->server);
}

void search_init(struct search *search, void (*ready)(struct watch *watch, uint32_t events),
                 void (*done)(struct search *search, int cause))
{
    *search = (struct search){.done = done, .cause = EHOSTUNREACH};
    connect_init(&search->server, ready, connected);
    list_init(&search->node);
    timer_init(&search->timer, resume);
}

void search_begin(struct search *search, struct pool *pool, uint64_t source)
{
    uint64_t now = pool->pools->loop->now;
    search->pool = pool;
    search->candidate = (struct candidate){.source = source, .began = now};
    search->deadline = now + SEARCH_LIMIT;
    if (atomic_load(&pool->shared->waiting) > 0)
        wait_for_room(search); /* behind the others */
    else
        choose(search);
}

void search_end(struct search *search, struct loop *loop)
{
    if (search->pool != NULL && list_linked(&search->node)) {
        leave_queue(search);
        queue_wake(search->pool->shared);
    }
    timer_stop(loop, &search->timer);
    connect_close(&search->server, loop);
    if (search->pool == NULL || search->candidate.server == NULL)
        return;
    pool_given_up(search->pool, &search->candidate);
    pool_leave(search->pool, search->candidate.server);
    search->candidate.server = NULL;
}

/* ---- all searches of a thread ---- */

/* Serves those that have waited longest, as far as there is room. */
static void serve_queue(struct pool *pool)
{
    for (int served = 0; served < SERVED_IN_TURN && !list_empty(&pool->queue); served++) {
        struct search *search = list_entry(pool->queue.next, struct search, node);
        enum pool_choice choice = pool_choose(pool, &search->candidate);
        if (choice == POOL_FULL)
            return;
        leave_queue(search);
        act(search, choice);
    }
    queue_wake(pool->shared); /* there may be room for more, also of other threads */
}

/* Events only say what is to be done in this turn. */
static void woken(struct watch *watch, uint32_t events)
{
    (void)events;
    struct pools *pools = list_entry(watch, struct pools, woken);
    uint64_t count;
    if (read(watch->descriptor, &count, sizeof count) == (ssize_t)sizeof count)
        timer_start(pools->loop, &pools->look, 0);
}

static void look(struct timer *timer)
{
    struct pools *pools = list_entry(timer, struct pools, look);
    list_for_each(node, &pools->waiting) serve_queue(list_entry(node, struct pool, waiting));
    if (!list_empty(&pools->waiting) && !timer_is_running(timer))
        timer_start(pools->loop, timer, LOOK_PAUSE);
}

bool searches_open(struct pools *pools)
{
    int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    watch_init(&pools->woken, woken);
    timer_init(&pools->look, look);
    if (wake < 0)
        return false;
    watch_open(&pools->woken, wake, WATCH_LEVEL);
    pools->shared->wake[pools->thread] = wake;
    return watch_want(pools->loop, &pools->woken, EPOLLIN);
}

void searches_close(struct pools *pools)
{
    if (pools->shared != NULL)
        pools->shared->wake[pools->thread] = -1;
    watch_close(pools->loop, &pools->woken);
}
