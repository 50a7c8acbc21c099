#include "provider/pause.h"

#include <openssl/async.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"

/*
 * The descriptor that the server polls is an epoll instance: it stays the same until SSL_free(),
 * because HAProxy forgets none earlier, while connections to immured come and go; and it ends the
 * wait when the time is over, which nobody else would.
 */
struct pause {
    int epoll, timer;
    struct immure_blocking *exchange; /* what a paused job waits with; NULL: none does */
    immure_request id;
};

static const char
    wait_key; /* its address is what names ours among the wait context's descriptors */

static void pause_free(struct pause *pause)
{
    descriptor_close(&pause->epoll);
    descriptor_close(&pause->timer);
    /* The job was never resumed: its stack, and the question on it, may be gone. */
    if (pause->exchange != NULL)
        immure_request_cancel(pause->exchange->client, pause->id);
    immure_blocking_free(pause->exchange);
    free(pause);
}

static void wait_context_freed(ASYNC_WAIT_CTX *context, const void *key, OSSL_ASYNC_FD descriptor,
                               void *pause)
{
    (void)context;
    (void)key;
    (void)descriptor;
    pause_free(pause);
}

static struct pause *pause_new(void)
{
    struct pause *pause = malloc(sizeof *pause);
    if (pause == NULL)
        return NULL;
    *pause = (struct pause){.epoll = epoll_create1(EPOLL_CLOEXEC),
                            .timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
    struct epoll_event event = {.events = EPOLLIN};
    if (pause->epoll >= 0 && pause->timer >= 0 &&
        epoll_ctl(pause->epoll, EPOLL_CTL_ADD, pause->timer, &event) == 0)
        return pause;
    pause_free(pause);
    return NULL;
}

struct pause *pause_of_job(void)
{
    ASYNC_JOB *job = ASYNC_get_current_job();
    ASYNC_WAIT_CTX *context = job != NULL ? ASYNC_get_wait_ctx(job) : NULL;
    OSSL_ASYNC_FD descriptor;
    void *found;
    if (context == NULL)
        return NULL;
    if (ASYNC_WAIT_CTX_get_fd(context, &wait_key, &descriptor, &found))
        return found;
    struct pause *pause = pause_new();
    if (pause == NULL)
        return NULL;
    if (ASYNC_WAIT_CTX_set_wait_fd(context, &wait_key, pause->epoll, pause, wait_context_freed))
        return pause;
    pause_free(pause);
    return NULL;
}

/* At this absolute time, which may be past, or, with UINT64_MAX, never. */
static void timer_set(const struct pause *pause, uint64_t time)
{
    struct itimerspec when = {.it_interval = {0}};
    if (time == 0)
        time = 1; /* 0 is how a timer is disarmed */
    if (time != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(time / NS_PER_S);
        when.it_value.tv_nsec = (long)(time % NS_PER_S);
    }
    timerfd_settime(pause->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Whatever has woken the server (it may just have tried), the next step finds out. */
static bool pause_wait(void *arg, const struct exchange_wait *wait)
{
    const struct pause *pause = arg;
    struct epoll_event event = {.events = (uint32_t)wait->events};
    if (wait->descriptor >= 0)
        epoll_ctl(pause->epoll, EPOLL_CTL_ADD, wait->descriptor, &event);
    timer_set(pause, wait->until);
    bool paused = ASYNC_pause_job() == 1;
    timer_set(pause, UINT64_MAX);
    if (wait->descriptor >= 0)
        epoll_ctl(pause->epoll, EPOLL_CTL_DEL, wait->descriptor, NULL);
    return paused || exchange_poll(NULL, wait);
}

enum immure_error pause_run(struct pause *pause, struct immure_blocking *exchange, const bool *done,
                            immure_request id, uint64_t deadline)
{
    pause->exchange = exchange;
    pause->id = id;
    enum immure_error error = exchange_run(exchange, done, id, deadline, pause_wait, pause);
    pause->exchange = NULL;
    return error;
}
