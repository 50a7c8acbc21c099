#include "provider/pause.h"

#include <errno.h>
#include <openssl/async.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"

#define NEVER (1 << 30)         /* s: 34 years */
#define AT_ONCE (2 * NS_PER_US) /* sooner than a server can have done anything in between */
#define POLL_LIMIT NS_PER_MS    /* how long it is held up at most, if it has */

/*
 * The descriptor that the server polls is an epoll instance: it stays the same until SSL_free(),
 * because HAProxy forgets none earlier, while connections to immured come and go; and it ends the
 * wait when the time is over, which nobody else would.
 *
 * The server may close both descriptors behind our back, and others may get their numbers. Files of
 * these kinds have no inode of their own to tell them by. But a timer keeps the interval that it
 * was given, which never passes here and has a number in it that nobody else's has; and an epoll
 * instance knows whether it has this timer.
 */
struct pause {
    int epoll, timer;
    long mark; /* ns, in the timer's interval */
    pid_t pid; /* a child shares both with its parent, and leaves them alone */
    struct immure_blocking *exchange; /* what a paused job waits with; NULL: none does */
    immure_request_id id;
};

static const char
    wait_key; /* its address is what names ours among the wait context's descriptors */

/* At this absolute time, which may be past, or, with UINT64_MAX, never. */
static bool timer_set(const struct pause *pause, uint64_t time)
{
    struct itimerspec when = {.it_interval = {.tv_sec = NEVER, .tv_nsec = pause->mark}};
    if (time == 0)
        time = 1; /* 0 is how a timer is disarmed */
    if (time != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(time / NS_PER_S);
        when.it_value.tv_nsec = (long)(time % NS_PER_S);
    }
    return timerfd_settime(pause->timer, TFD_TIMER_ABSTIME, &when, NULL) == 0;
}

static bool timer_is_ours(const struct pause *pause)
{
    struct itimerspec now;
    return timerfd_gettime(pause->timer, &now) == 0 && now.it_interval.tv_sec == NEVER &&
           now.it_interval.tv_nsec == pause->mark;
}

static bool epoll_is_ours(const struct pause *pause)
{
    struct epoll_event none = {.events = 0};
    if (!timer_is_ours(pause))
        return false;
    if (epoll_ctl(pause->epoll, EPOLL_CTL_ADD, pause->timer, &none) != 0)
        return errno == EEXIST;
    epoll_ctl(pause->epoll, EPOLL_CTL_DEL, pause->timer, NULL);
    return false;
}

/* Whether it may be waited with. */
static bool pause_is_ours(const struct pause *pause)
{
    return pause->pid == getpid() && epoll_is_ours(pause);
}

/* One that is not known to be ours stays open: it is the application's, or will be closed by it. */
static void pause_free(struct pause *pause)
{
    if (epoll_is_ours(pause))
        close(pause->epoll);
    if (timer_is_ours(pause))
        close(pause->timer);
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
    static atomic_uint count;
    struct pause *pause = malloc(sizeof *pause);
    if (pause == NULL)
        return NULL;
    uint64_t mark = clock_now() + atomic_fetch_add(&count, 1);
    int epoll = descriptor_above_streams(epoll_create1(EPOLL_CLOEXEC));
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    *pause = (struct pause){.epoll = epoll,
                            .timer = descriptor_above_streams(timer),
                            .mark = (long)(mark % NS_PER_S),
                            .pid = getpid()};
    struct epoll_event event = {.events = EPOLLIN};
    if (pause->epoll >= 0 && pause->timer >= 0 && timer_set(pause, UINT64_MAX) &&
        epoll_ctl(pause->epoll, EPOLL_CTL_ADD, pause->timer, &event) == 0)
        return pause;
    descriptor_close(&pause->epoll);
    descriptor_close(&pause->timer);
    free(pause);
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
    if (ASYNC_WAIT_CTX_get_fd(context, &wait_key, &descriptor, &found)) {
        if (pause_is_ours(found))
            return found;
        ASYNC_WAIT_CTX_clear_fd(context, &wait_key);
        pause_free(found);
    }
    struct pause *pause = pause_new();
    if (pause == NULL)
        return NULL;
    if (ASYNC_WAIT_CTX_set_wait_fd(context, &wait_key, pause->epoll, pause, wait_context_freed))
        return pause;
    pause_free(pause);
    return NULL;
}

/*
 * Whatever has woken the server (it may just have tried), the next step finds out. What comes back
 * at once was not paused at all, or a server did nothing but try again: within ASYNC_block_pause()
 * OpenSSL pauses nothing, and says that it did.
 */
static bool pause_wait(void *arg, const struct exchange_wait *wait)
{
    const struct pause *pause = arg;
    struct epoll_event event = {.events = (uint32_t)wait->events};
    if (!pause_is_ours(pause))
        return exchange_poll(NULL, wait);
    if (wait->descriptor >= 0)
        epoll_ctl(pause->epoll, EPOLL_CTL_ADD, wait->descriptor, &event);
    timer_set(pause, wait->until);
    uint64_t begun = clock_now();
    bool paused = ASYNC_pause_job() == 1;
    uint64_t ended = clock_now();
    if (pause_is_ours(pause)) {
        timer_set(pause, UINT64_MAX);
        if (wait->descriptor >= 0)
            epoll_ctl(pause->epoll, EPOLL_CTL_DEL, wait->descriptor, NULL);
    }
    if (paused && ended - begun > AT_ONCE)
        return true;
    struct exchange_wait rest = *wait;
    if (paused && rest.until > ended + POLL_LIMIT)
        rest.until = ended + POLL_LIMIT;
    return exchange_poll(NULL, &rest);
}

enum immure_error pause_run(struct pause *pause, struct immure_blocking *exchange, const bool *done,
                            immure_request_id id, uint64_t deadline)
{
    pause->exchange = exchange;
    pause->id = id;
    enum immure_error error = exchange_run(exchange, done, id, deadline, pause_wait, pause);
    pause->exchange = NULL;
    return error;
}
