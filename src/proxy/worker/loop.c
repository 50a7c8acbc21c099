#include "proxy/worker/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/probe.h"

#define EVENTS_PER_TURN 128

bool loop_open(struct loop *loop)
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++)
        list_init(&loop->steps[kind]);
    loop->stopped = false;
    loop->now = clock_now();
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll >= 0;
}

void loop_close(struct loop *loop)
{
    descriptor_close(&loop->epoll);
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

void watch_init(struct watch *watch, void (*ready)(struct watch *watch, uint32_t events))
{
    *watch = (struct watch){.descriptor = -1, .ready = ready};
}

void watch_open(struct watch *watch, int descriptor)
{
    watch->descriptor = descriptor;
    watch->registered = watch->wanted = 0;
}

/* A descriptor that wants nothing must leave the set: EPOLLHUP cannot be masked and would spin. */
static void watch_register(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int operation = watch->registered == 0 ? EPOLL_CTL_ADD
                    : events == 0          ? EPOLL_CTL_DEL
                                           : EPOLL_CTL_MOD;
    if (epoll_ctl(loop->epoll, operation, watch->descriptor, &event) != 0)
        log_error("epoll_ctl(%d): errno %d", watch->descriptor, errno);
    watch->registered = events;
}

void watch_want(struct loop *loop, struct watch *watch, uint32_t events)
{
    watch->wanted = events;
    if (events & ~watch->registered)
        watch_register(loop, watch, events);
}

void watch_close(struct watch *watch)
{
    descriptor_close(&watch->descriptor); /* leaves the epoll set by itself */
    watch->registered = watch->wanted = 0;
}

void step_init(struct step *step, void (*run)(struct step *step))
{
    list_init(&step->node);
    step->run = run;
}

void step_queue(struct loop *loop, enum step_kind kind, struct step *step)
{
    if (!list_linked(&step->node))
        list_append(&loop->steps[kind], &step->node);
}

void step_drop(struct step *step)
{
    list_remove(&step->node);
}

bool step_waiting(const struct loop *loop, enum step_kind kind)
{
    return !list_empty(&loop->steps[kind]);
}

static struct step *next_step(struct loop *loop)
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++) {
        struct list *node = list_take(&loop->steps[kind]);
        if (node != NULL)
            return list_entry(node, struct step, node);
    }
    return NULL;
}

static bool steps_waiting(const struct loop *loop)
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++)
        if (step_waiting(loop, (enum step_kind)kind))
            return true;
    return false;
}

static int collect(struct loop *loop, struct epoll_event *events)
{
    uint64_t deadline = loop->next_deadline(loop->owner);
    for (int i = 0; i < TIMER_COUNT; i++) {
        uint64_t next = timer_queue_next(&loop->timers[i]);
        deadline = next < deadline ? next : deadline;
    }
    int timeout = steps_waiting(loop) ? 0 : clock_poll_timeout(deadline, clock_now());
    int count = epoll_wait(loop->epoll, events, EVENTS_PER_TURN, timeout);
    loop->now = clock_now();
    return count;
}

/* Leaves in `events` what was not wanted. */
static void serve(struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        if (watch->descriptor < 0)
            continue; /* closed by an event before it; freed only at the end of the turn */
        uint32_t wanted = watch->wanted != 0 ? watch->wanted | EPOLLERR | EPOLLHUP : 0;
        if (events[i].events & wanted)
            watch->ready(watch, events[i].events);
        events[i].events &= ~wanted;
    }
}

/* After all have been served: of those that had an event too many, many are closed by then. */
static void shrink(struct loop *loop, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        if (events[i].events != 0 && watch->descriptor >= 0 && watch->registered != watch->wanted)
            watch_register(loop, watch, watch->wanted);
    }
}

static void run_steps(struct loop *loop)
{
    uint64_t end = clock_now() + loop->budget;
    for (struct step *step; (step = next_step(loop)) != NULL;) {
        step->run(step);
        loop->now = clock_now();
        if (loop->now >= end)
            break;
    }
}

void loop_run(struct loop *loop)
{
    struct epoll_event events[EVENTS_PER_TURN];
    while (!loop->stopped) {
        int count = collect(loop, events);
        uint64_t begun = loop->now;
        serve(events, count);
        shrink(loop, events, count);
        run_steps(loop);
        loop->flush(loop->owner);
        for (int i = 0; i < TIMER_COUNT; i++)
            timer_queue_run(&loop->timers[i], loop->now);
        loop->end_turn(loop->owner);
        uint64_t took = clock_now() - begun;
        histogram_record(loop->turns, took);
        PROBE(immure_proxy, turn_end, took, count);
    }
}
