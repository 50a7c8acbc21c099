#include "loop/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"

/* The time for expired timers in one turn. */
#define TIMERS_BUDGET (200 * NS_PER_US)

bool loop_open(struct loop *loop)
{
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC),
                          .between = epoll_create1(EPOLL_CLOEXEC),
                          .now = clock_now()};
    timers_init(&loop->timers);
    list_init(&loop->work);
    if (loop->epoll >= 0 && loop->between >= 0)
        return true;
    loop_close(loop);
    return false;
}

void loop_close(struct loop *loop)
{
    descriptor_close(&loop->epoll);
    descriptor_close(&loop->between);
    timers_release(&loop->timers);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped) {
        loop_look(loop, loop_deadline(loop));
        loop_run_timers(loop);
        loop_run_work(loop);
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* ---- watches ---- */

void watch_init(struct watch *watch, void (*ready)(struct watch *watch, uint32_t events))
{
    *watch = (struct watch){.descriptor = -1, .ready = ready};
}

void watch_open(struct watch *watch, int descriptor, enum watch_trigger trigger)
{
    *watch = (struct watch){.descriptor = descriptor, .trigger = trigger, .ready = watch->ready};
}

static bool control(int set, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(set, operation, watch->descriptor, &event) == 0)
        return true;
    int cause = errno;
    log_error("epoll_ctl(%d): errno %d", watch->descriptor, cause);
    errno = cause;
    return false;
}

/* A descriptor of which nothing is wanted has to leave the set: EPOLLHUP cannot be masked, and
 * would make the loop spin. */
static bool watch_register(struct loop *loop, struct watch *watch, uint32_t events)
{
    int operation = watch->registered == 0 ? EPOLL_CTL_ADD
                    : events == 0          ? EPOLL_CTL_DEL
                                           : EPOLL_CTL_MOD;
    watch->changed = false;
    if (!control(loop->epoll, operation, watch,
                 events | (watch->trigger == WATCH_EDGE ? (uint32_t)EPOLLET : 0)))
        return false;
    watch->registered = events;
    return true;
}

void watch_level(struct watch *watch)
{
    watch->changed = watch->registered != 0 && watch->trigger != WATCH_LEVEL;
    watch->trigger = WATCH_LEVEL;
    watch->wanted = 0;
}

/* Registered once, edge-triggered and for all events that may ever be wanted: the registration
 * never has to change, and an event that has been reported costs nothing more. */
void watch_between(struct loop *loop, struct watch *watch)
{
    if (watch->between)
        return;
    watch->between = true;
    loop->between_count++;
    control(loop->between, EPOLL_CTL_ADD, watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

bool watch_want(struct loop *loop, struct watch *watch, uint32_t events)
{
    watch->wanted = events;
    watch->unwanted = false;
    if ((events & ~watch->registered) || (watch->changed && events != 0))
        return watch_register(loop, watch, events);
    return true;
}

static void forget(struct loop *loop, struct watch *watch)
{
    watch->registered = watch->wanted = 0;
    if (watch->between)
        loop->between_count--;
    watch->between = false;
}

void watch_close(struct loop *loop, struct watch *watch)
{
    descriptor_close(&watch->descriptor); /* closing it removes it from the epoll sets */
    forget(loop, watch);
}

int watch_release(struct loop *loop, struct watch *watch)
{
    int descriptor = watch->descriptor;
    if (watch->registered != 0)
        control(loop->epoll, EPOLL_CTL_DEL, watch, 0);
    if (watch->between)
        control(loop->between, EPOLL_CTL_DEL, watch, 0);
    watch->descriptor = -1;
    forget(loop, watch);
    return descriptor;
}

void watch_close_shared(struct loop *loop, struct watch *watch)
{
    int descriptor = watch_release(loop, watch);
    descriptor_close(&descriptor);
}

/* Leaves the unwanted events in `events`. */
static void tell(struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        if (watch->descriptor < 0)
            continue; /* an earlier event closed it; it is freed at the end of the turn */
        uint32_t wanted = watch->wanted != 0 ? watch->wanted | EPOLLERR | EPOLLHUP : 0;
        if (events[i].events & wanted)
            watch->ready(watch, events[i].events);
        events[i].events &= ~wanted;
    }
}

/* Tells the kernel of events that are no longer wanted. It runs after all ready() functions, and
 * ignores the first unwanted event of a watch, because many such watches are closed by then or at
 * the next look. Edge-triggered events need no change: they are reported only once. */
static void shrink(struct loop *loop, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        if (events[i].events == 0 || watch->descriptor < 0 || watch->trigger != WATCH_LEVEL ||
            watch->registered == watch->wanted)
            continue;
        if (watch->unwanted)
            watch_register(loop, watch, watch->wanted);
        watch->unwanted = true;
    }
}

static int wait_exactly(const struct loop *loop, struct epoll_event *events, uint64_t until)
{
    uint64_t now = clock_now(), left = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / NS_PER_S),
                               .tv_nsec = (long)(left % NS_PER_S)};
    return epoll_pwait2(loop->epoll, events, LOOP_EVENTS, until != UINT64_MAX ? &timeout : NULL,
                        NULL);
}

static int wait_events(const struct loop *loop, struct epoll_event *events, uint64_t until)
{
    if (loop->exact)
        return wait_exactly(loop, events, until);
    int timeout = until > 0 ? clock_poll_timeout(until, clock_now()) : 0;
    return epoll_wait(loop->epoll, events, LOOP_EVENTS, timeout);
}

int loop_look(struct loop *loop, uint64_t until)
{
    struct epoll_event events[LOOP_EVENTS];
    int count = wait_events(loop, events, until);
    loop->now = clock_now();
    tell(events, count);
    shrink(loop, events, count);
    return count;
}

int loop_look_between(struct loop *loop)
{
    struct epoll_event events[LOOP_EVENTS];
    int count = epoll_wait(loop->between, events, LOOP_EVENTS, 0);
    loop->now = clock_now();
    tell(events, count);
    return count;
}

/* ---- timers ---- */

void timer_start(struct loop *loop, struct timer *timer, uint64_t duration)
{
    timer_start_at(loop, timer,
                   duration < UINT64_MAX - loop->now ? loop->now + duration : UINT64_MAX);
}

void timer_start_at(struct loop *loop, struct timer *timer, uint64_t expires)
{
    timers_start(&loop->timers, timer, expires > loop->now ? expires : loop->now + 1);
}

void timer_stop(struct loop *loop, struct timer *timer)
{
    timers_stop(&loop->timers, timer);
}

void loop_run_timers(struct loop *loop)
{
    if (timers_next(&loop->timers) > loop->now)
        return;
    uint64_t end = clock_now() + TIMERS_BUDGET;
    while (timers_run(&loop->timers, loop->now) && clock_now() < end)
        continue;
}

/* ---- work ---- */

void work_init(struct work *work, void (*run)(struct work *work))
{
    list_init(&work->node);
    work->run = run;
}

void work_queue(struct loop *loop, struct work *work)
{
    if (!list_linked(&work->node))
        list_append(&loop->work, &work->node);
}

void work_drop(struct work *work)
{
    list_remove(&work->node);
}

uint64_t loop_deadline(const struct loop *loop)
{
    return list_empty(&loop->work) ? timers_next(&loop->timers) : 0;
}

void loop_run_work(struct loop *loop)
{
    struct list due;
    list_init(&due);
    list_move_all(&due, &loop->work);
    for (struct list *node; (node = list_take(&due)) != NULL;) {
        struct work *work = list_entry(node, struct work, node);
        work->run(work);
    }
}
