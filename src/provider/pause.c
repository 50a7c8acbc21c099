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
#define AT_ONCE (2 * NS_PER_US) /* too short for a server to have done anything in between */
#define POLL_LIMIT NS_PER_MS    /* the longest that a server that did is delayed */

/*
 * The descriptor that the server polls is an epoll instance. It stays the same until SSL_free(),
 * because HAProxy never drops a descriptor earlier, while connections to immured come and go. And
 * it contains a timer, without which nothing would end the wait at the deadline.
 *
 * The server may close both descriptors behind our back, and their numbers may be reused. Files of
 * these kinds have no inode of their own to identify them. But a timer can be identified by its
 * interval, which is set to a unique value that never elapses, and an epoll instance by whether it
 * contains this timer.
 */
struct pause {
    int epoll, timer;
    long mark;                        /* ns, in the timer's interval */
    pid_t pid;                        /* the owner: a forked child must not touch them */
    struct immure_blocking *exchange; /* the exchange that a paused job waits for; NULL: none */
    immure_request_id id;
};

static const char wait_key; /* its address identifies our descriptor in the wait context */

/* Sets the timer to this absolute time, which may be in the past; UINT64_MAX means never. */
static bool timer_set(const struct pause *pause, uint64_t time)
{
    struct itimerspec when = {.it_interval = {.tv_sec = NEVER, .tv_nsec = pause->mark}};
    if (time == 0)
        time = 1; /* 0 would disarm the timer */
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

/* Whether both are still ours, and not our parent's. */
static bool pause_is_ours(const struct pause *pause)
{
    return pause->pid == getpid() && epoll_is_ours(pause);
}

/* A descriptor that may not be ours stays open: it belongs to the application. */
static void pause_free(struct pause *pause)
{
    if (epoll_is_ours(pause))
        close(pause->epoll);
    if (timer_is_ours(pause))
        close(pause->timer);
    /* The job was never resumed, so its stack, and the request on it, may be gone. */
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
 * Returns on every wake-up, even a spurious one; the exchange's next step finds out what happened.
 * If ASYNC_pause_job() returns at once, the job was not paused at all (within ASYNC_block_pause()
 * OpenSSL pauses nothing, but reports success), or the server retries in a busy loop. In both cases
 * this waits in poll() instead.
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
