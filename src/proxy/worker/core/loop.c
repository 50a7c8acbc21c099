#include "proxy/worker/core/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/probe.h"

#define EVENTS_PER_LOOK 128
/* So many looks a turn, while each is full. */
#define LOOKS_PER_TURN 8
/* Between handshake steps: how long established connections go without being looked at. */
#define LOOK_INTERVAL (50 * NS_PER_US)
/* The time that an established connection may use before it goes behind the others, and how much
 * of the time that passes it gets back: so it stays in front with a 32nd of the thread's. */
#define CREDIT_MOST ((int64_t)(100 * NS_PER_US))
#define CREDIT_LEAST (-(LOOP_ROUNDS - 2) * CREDIT_MOST)
#define CREDIT_SHARE 32
/* One of those behind is served after so many of those in front. */
#define NEXT_IN_A_ROW 8
/* Of a turn, for timers that have expired. */
#define TIMERS_BUDGET (200 * NS_PER_US)
/* A turn is measured by the CPU's clock from this wall time on, against a reading of it that is at
 * most so old. */
#define CPU_MEASURED (500 * NS_PER_US)
#define CPU_MARK_AGE (250 * NS_PER_US)

bool loop_open(struct loop *loop)
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++)
        list_init(&loop->steps[kind]);
    for (int i = 0; i < LOOP_ROUNDS; i++)
        list_init(&loop->behind[i]);
    loop->round = 0;
    loop->stopped = false;
    loop->now = clock_now();
    loop->cpu_mark_at = 0;
    loop->between_count = 0;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->between = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll >= 0 && loop->between >= 0)
        return true;
    loop_close(loop);
    return false;
}

void loop_close(struct loop *loop)
{
    descriptor_close(&loop->epoll);
    descriptor_close(&loop->between);
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

void watch_init(struct watch *watch, void (*ready)(struct watch *watch, uint32_t events))
{
    *watch = (struct watch){.descriptor = -1, .ready = ready};
}

void watch_open(struct watch *watch, int descriptor, enum watch_trigger trigger)
{
    *watch = (struct watch){.descriptor = descriptor, .trigger = trigger, .ready = watch->ready};
}

static void control(int set, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(set, operation, watch->descriptor, &event) != 0)
        log_error("epoll_ctl(%d): errno %d", watch->descriptor, errno);
}

/* A descriptor that wants nothing must leave the set: EPOLLHUP cannot be masked and would spin. */
static void watch_register(struct loop *loop, struct watch *watch, uint32_t events)
{
    int operation = watch->registered == 0 ? EPOLL_CTL_ADD
                    : events == 0          ? EPOLL_CTL_DEL
                                           : EPOLL_CTL_MOD;
    control(loop->epoll, operation, watch,
            events | (watch->trigger == WATCH_EDGE ? (uint32_t)EPOLLET : 0));
    watch->registered = events;
    watch->changed = false;
}

void watch_level(struct watch *watch)
{
    watch->changed = watch->registered != 0 && watch->trigger != WATCH_LEVEL;
    watch->trigger = WATCH_LEVEL;
    watch->wanted = 0;
}

/* Edge-triggered, for all that may ever be wanted: so it is never changed, and what has been told
 * there costs nothing more. */
void watch_between_steps(struct loop *loop, struct watch *watch)
{
    if (watch->between)
        return;
    watch->between = true;
    loop->between_count++;
    control(loop->between, EPOLL_CTL_ADD, watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void watch_want(struct loop *loop, struct watch *watch, uint32_t events)
{
    watch->wanted = events;
    watch->unwanted = false;
    if ((events & ~watch->registered) || (watch->changed && events != 0))
        watch_register(loop, watch, events);
}

void watch_close(struct loop *loop, struct watch *watch)
{
    descriptor_close(&watch->descriptor); /* leaves the epoll sets by itself */
    watch->registered = watch->wanted = 0;
    if (watch->between)
        loop->between_count--;
    watch->between = false;
}

void step_init(struct step *step, void (*run)(struct step *step))
{
    list_init(&step->node);
    step->credit = CREDIT_MOST;
    step->credited_at = 0;
    step->run = run;
}

/* Each round would bring it CREDIT_MOST nearer to the one in which it is served. To look at all of
 * them in each round would be work without a bound: so it gets that credit now, and waits for the
 * right round. What a step costs that queues itself again counts when it does so the next time. */
static void queue_behind(struct loop *loop, struct step *step)
{
    unsigned rounds = step->credit > 0 ? 0 : (unsigned)(-step->credit / CREDIT_MOST) + 1;
    step->credit += rounds * CREDIT_MOST;
    list_append(&loop->behind[(loop->round + rounds) % LOOP_ROUNDS], &step->node);
}

void step_queue(struct loop *loop, enum step_kind kind, struct step *step)
{
    if (list_linked(&step->node))
        return;
    if (kind == STEP_BEHIND)
        queue_behind(loop, step);
    else
        list_append(&loop->steps[kind], &step->node);
}

static void give_credit(struct step *step, uint64_t now)
{
    uint64_t gained = (now - step->credited_at) / CREDIT_SHARE;
    step->credited_at = now;
    if (gained >= (uint64_t)(CREDIT_MOST - step->credit))
        step->credit = CREDIT_MOST;
    else
        step->credit += (int64_t)gained;
}

void step_queue_established(struct loop *loop, struct step *step)
{
    if (list_linked(&step->node))
        return;
    give_credit(step, loop->now);
    step_queue(loop, step->credit > 0 ? STEP_NEXT : STEP_BEHIND, step);
}

void step_drop(struct step *step)
{
    list_remove(&step->node);
}

bool step_waiting(const struct loop *loop, enum step_kind kind)
{
    bool waiting = !list_empty(&loop->steps[kind]);
    for (int i = 0; kind == STEP_BEHIND && !waiting && i < LOOP_ROUNDS; i++)
        waiting = !list_empty(&loop->behind[i]);
    return waiting;
}

static struct step *take_from(struct list *steps)
{
    struct list *node = list_take(steps);
    return node != NULL ? list_entry(node, struct step, node) : NULL;
}

static struct step *next_handshake_step(struct loop *loop)
{
    struct step *step = NULL;
    for (int kind = STEP_FINISH; step == NULL && kind <= STEP_ACCEPT; kind++)
        step = take_from(&loop->steps[kind]);
    return step;
}

static struct step *take_step_behind(struct loop *loop)
{
    struct step *step = NULL;
    for (int i = 0; i < LOOP_ROUNDS && (step = take_from(&loop->behind[loop->round])) == NULL; i++)
        loop->round = (loop->round + 1) % LOOP_ROUNDS;
    return step;
}

static struct step *next_established_step(struct loop *loop)
{
    bool behind_is_due = loop->served_next >= NEXT_IN_A_ROW && step_waiting(loop, STEP_BEHIND);
    struct step *step = behind_is_due ? NULL : take_from(&loop->steps[STEP_NEXT]);
    if (step != NULL) {
        loop->served_next++;
        return step;
    }
    loop->served_next = 0;
    return take_step_behind(loop);
}

static bool steps_waiting(const struct loop *loop)
{
    for (int kind = 0; kind < STEP_KIND_COUNT; kind++)
        if (step_waiting(loop, (enum step_kind)kind))
            return true;
    return false;
}

/* Leaves in `events` what was not wanted. */
static void tell(struct epoll_event *events, int count)
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

/* After all have been told: of those that had an event too many, many are closed by then, and many
 * at the next look, so the first such event changes nothing. What is edge-triggered comes once and
 * may stay. */
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

/* Returns how many events there were. */
static int look(struct loop *loop, int timeout)
{
    struct epoll_event events[EVENTS_PER_LOOK];
    int count = epoll_wait(loop->epoll, events, EVENTS_PER_LOOK, timeout);
    loop->now = loop->looked_at = clock_now();
    tell(events, count);
    shrink(loop, events, count);
    return count;
}

static int collect(struct loop *loop)
{
    uint64_t deadline = loop->next_deadline(loop->owner);
    for (int i = 0; i < TIMER_COUNT; i++) {
        uint64_t next = timer_queue_next(&loop->timers[i]);
        deadline = next < deadline ? next : deadline;
    }
    return look(loop, steps_waiting(loop) ? 0 : clock_poll_timeout(deadline, clock_now()));
}

static void serve_established(struct loop *loop)
{
    struct step *step;
    while (loop->established_left > 0 && (step = next_established_step(loop)) != NULL) {
        step->run(step);
        uint64_t now = clock_now();
        uint64_t took = now - loop->now;
        int64_t credit = step->credit - (int64_t)took;
        step->credit = credit > CREDIT_LEAST ? credit : CREDIT_LEAST;
        loop->established_left -= took < loop->established_left ? took : loop->established_left;
        loop->now = now;
    }
}

/* What had more events than one look takes is looked at again. */
static int collect_and_serve(struct loop *loop, int count)
{
    int total = count;
    serve_established(loop);
    for (int looks = 1; count == EVENTS_PER_LOOK && looks < LOOKS_PER_TURN; looks++) {
        count = look(loop, 0);
        total += count;
        serve_established(loop);
    }
    return total;
}

/* Established connections' time is not the handshakes'. */
static uint64_t look_between_steps(struct loop *loop)
{
    uint64_t begun = loop->now;
    struct epoll_event events[EVENTS_PER_LOOK];
    int count = epoll_wait(loop->between, events, EVENTS_PER_LOOK, 0);
    loop->now = loop->looked_at = clock_now();
    tell(events, count);
    serve_established(loop);
    return loop->now - begun;
}

static void run_steps(struct loop *loop)
{
    uint64_t end = loop->now + loop->handshake_budget;
    for (struct step *step; (step = next_handshake_step(loop)) != NULL;) {
        step->run(step);
        loop->now = clock_now();
        if (loop->now >= end)
            break;
        if (loop->between_count > 0 && loop->established_left > 0 &&
            loop->now - loop->looked_at >= LOOK_INTERVAL)
            end += look_between_steps(loop);
    }
}

static void run_timers(struct loop *loop)
{
    uint64_t end = loop->now + TIMERS_BUDGET;
    for (int i = 0; i < TIMER_COUNT; i++)
        while (timer_queue_run(&loop->timers[i], loop->now) && clock_now() < end)
            ;
}

static void begin_turn(struct loop *loop)
{
    loop->established_left = loop->established_budget;
    if (loop->now - loop->cpu_mark_at < CPU_MARK_AGE)
        return;
    loop->cpu_mark = clock_thread();
    loop->cpu_mark_at = loop->now;
}

static void record_turn(struct loop *loop, uint64_t took)
{
    uint64_t cpu = took < CPU_MEASURED ? took : clock_thread() - loop->cpu_mark;
    histogram_record(loop->turns, took);
    histogram_record(loop->turns_cpu, cpu < took ? cpu : took);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped) {
        int count = collect(loop);
        uint64_t begun = loop->now;
        begin_turn(loop);
        count = collect_and_serve(loop, count);
        run_steps(loop);
        loop->flush(loop->owner);
        run_timers(loop);
        loop->end_turn(loop->owner);
        uint64_t took = clock_now() - begun;
        record_turn(loop, took);
        PROBE(immure_proxy, turn_end, took, count);
    }
}
