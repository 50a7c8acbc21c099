/* A turn of the worker: the order of steps, what waits for the next turn, what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loop_fixture.h"
#include "proxy/worker/core/turn.h"

#define MANY_BEHIND 60000

static struct {
    struct turn turn;
    struct histogram turns, turns_cpu;
    unsigned turns_left;
    struct work end; /* runs at the end of each turn */
    struct timer limit;
} run;

/* Notes the end of a turn. */
static void end_turn(struct work *work)
{
    (void)work;
    note('|');
    if (--run.turns_left == 0)
        loop_stop(&fixture.loop);
}

static void flush(void *owner)
{
    (void)owner;
    note('F');
    work_queue(&fixture.loop, &run.end);
}

static void timer_expired(struct timer *timer)
{
    (void)timer;
    note('T');
}

/* The timer only has to end the wait for events. */
static void nothing_expired(struct timer *timer)
{
    (void)timer;
}

static int setup(void **state)
{
    run.turns_left = 1;
    run.turns = run.turns_cpu = (struct histogram){0};
    run.turn = (struct turn){.loop = &fixture.loop,
                             .established_budget = NS_PER_S,
                             .handshake_budget = NS_PER_S,
                             .turns = &run.turns,
                             .turns_cpu = &run.turns_cpu,
                             .flush = flush};
    turn_init(&run.turn);
    work_init(&run.end, end_turn);
    timer_init(&run.limit, nothing_expired);
    return loop_fixture_open(state);
}

static void step_finish(struct step *step)
{
    (void)step;
    note('f');
}

static void step_begin(struct step *step)
{
    (void)step;
    note('b');
}

static void step_accept(struct step *step)
{
    (void)step;
    note('a');
}

static void queue_all(struct step steps[3])
{
    step_init(&steps[0], step_accept);
    step_init(&steps[1], step_begin);
    step_init(&steps[2], step_finish);
    step_queue(&run.turn, STEP_ACCEPT, &steps[0]);
    step_queue(&run.turn, STEP_BEGIN, &steps[1]);
    step_queue(&run.turn, STEP_FINISH, &steps[2]);
    step_queue(&run.turn, STEP_FINISH, &steps[2]); /* no effect: it is queued already */
}

static void test_steps_finish_before_they_begin(void **state)
{
    (void)state;
    struct step steps[3];
    queue_all(steps);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "fbaF|");
    assert_int_equal(histogram_count(&run.turns), 1);
}

/* ---- steps that are held back ---- */

static struct list held;

static bool has_held(void *owner)
{
    (void)owner;
    return !list_empty(&held);
}

static struct step *take_held(void *owner)
{
    (void)owner;
    return list_entry(list_take(&held), struct step, node);
}

static void busy(uint64_t ns)
{
    for (uint64_t until = clock_now() + ns; clock_now() < until;)
        ;
}

static void step_held(struct step *step)
{
    (void)step;
    note('h');
    busy(4 * NS_PER_MS);
}

/* As a listener with a backlog does. */
static void step_accept_again(struct step *step)
{
    note('a');
    busy(NS_PER_MS);
    step_queue(&run.turn, STEP_ACCEPT, step);
}

static void hold_steps(struct step *steps, size_t count)
{
    list_init(&held);
    run.turn.has_held = has_held;
    run.turn.take_held = take_held;
    for (size_t i = 0; i < count; i++) {
        step_init(&steps[i], step_held);
        list_append(&held, &steps[i].node);
    }
}

static void test_held_steps_come_after_those_that_go_on(void **state)
{
    (void)state;
    struct step steps[3], held_back[2];
    hold_steps(held_back, 2);
    queue_all(steps);
    assert_true(turn_begins_more(&run.turn));
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "fbahhF|");
    assert_false(turn_begins_more(&run.turn));
}

/* Accepting is worth a quarter of a held step here: it gets several for each. */
static void test_accepting_gets_half_of_the_time(void **state)
{
    (void)state;
    struct step accept, held_back[4];
    hold_steps(held_back, 4);
    step_init(&accept, step_accept_again);
    step_queue(&run.turn, STEP_ACCEPT, &accept);
    run.turn.handshake_budget = 60 * NS_PER_MS;
    turn_run(&run.turn);
    unsigned accepted = 0, last = 0;
    for (unsigned i = 0; i < fixture.count; i++) {
        accepted += fixture.order[i] == 'a' && last < 4;
        last += fixture.order[i] == 'h';
    }
    assert_int_equal(last, 4);
    assert_in_range(accepted, 2, 16); /* 13 on an idle machine */
    step_drop(&accept);
}

static void test_spent_budget_leaves_the_rest_for_the_next_turn(void **state)
{
    (void)state;
    struct step steps[3];
    run.turn.handshake_budget = 0;
    run.turns_left = 3;
    queue_all(steps);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "fF|bF|aF|");
    assert_int_equal(histogram_count(&run.turns), 3);
    assert_int_equal(histogram_count(&run.turns_cpu), 3);
}

static void test_events_come_before_steps(void **state)
{
    (void)state;
    struct pair pair;
    struct step steps[3];
    pair_open(&pair, pair_read);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    assert_int_equal(write(pair.other, "E", 1), 1);
    queue_all(steps);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "EfbaF|");
    pair_close(&pair);
}

/* An unwanted event is not delivered. The connection may be about to end, so the kernel is told
 * only when the event is reported for the second time; after that the loop does not spin. */
static void test_unwanted_events_are_switched_off_when_they_come(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, pair_read);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    watch_want(&fixture.loop, &pair.watch, 0);
    assert_int_equal(pair.watch.registered, EPOLLIN); /* the kernel has not been told yet */
    assert_int_equal(write(pair.other, "E", 1), 1);
    run.turns_left = 3;
    uint64_t deadline = clock_now() + 20 * NS_PER_MS;
    timer_start_at(&fixture.loop, &run.limit, deadline);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "F|F|F|");
    assert_int_equal(pair.watch.registered, 0);
    assert_true(clock_now() >= deadline);

    run.turns_left = 1;
    fixture.loop.stopped = false;
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "F|F|F|EF|");
    pair_close(&pair);
}

static struct pair *victim;

static void close_victim(struct watch *watch, uint32_t events)
{
    pair_read(watch, events);
    watch_close(&fixture.loop, &victim->watch);
}

/* The first event of a batch closes the watch of the second one. */
static void test_closed_watch_is_passed_over(void **state)
{
    (void)state;
    struct pair first, second;
    pair_open(&first, close_victim);
    pair_open(&second, pair_read);
    victim = &second;
    watch_want(&fixture.loop, &first.watch, EPOLLIN);
    watch_want(&fixture.loop, &second.watch, EPOLLIN);
    assert_int_equal(write(first.other, "1", 1), 1);
    assert_int_equal(write(second.other, "2", 1), 1);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "1F|");
    pair_close(&first);
    pair_close(&second);
}

static void test_timers_run_last(void **state)
{
    (void)state;
    struct timer timer;
    struct step steps[3];
    timer_init(&timer, timer_expired);
    timer_start_at(&fixture.loop, &timer, clock_now() - NS_PER_S);
    queue_all(steps);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "fbaFT|");
}

/* ---- established connections ---- */

struct busy {
    struct step step;
    char name;
    uint64_t takes;      /* ns of each step */
    unsigned more;       /* how often it queues itself again */
    struct pair *speaks; /* its first step writes to this pair, which causes an event */
};

static void run_busy(struct step *step)
{
    struct busy *busy = list_entry(step, struct busy, step);
    uint64_t end = clock_now() + busy->takes;
    note(busy->name);
    while (clock_now() < end)
        continue;
    if (busy->speaks != NULL)
        assert_int_equal(write(busy->speaks->other, "E", 1), 1);
    busy->speaks = NULL;
    if (busy->more > 0) {
        busy->more--;
        step_queue(&run.turn, STEP_BEHIND, &busy->step);
    }
}

static void busy_init(struct busy *busy, char name, uint64_t takes, unsigned more)
{
    *busy = (struct busy){.name = name, .takes = takes, .more = more};
    step_init(&busy->step, run_busy);
}

static void test_a_step_with_more_to_do_goes_behind(void **state)
{
    (void)state;
    struct busy bulk, first, second;
    busy_init(&bulk, 'B', 0, 2);
    busy_init(&first, '1', 0, 0);
    busy_init(&second, '2', 0, 0);
    step_queue_established(&run.turn, &bulk.step);
    step_queue_established(&run.turn, &first.step);
    step_queue_established(&run.turn, &second.step);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "B12BBF|");
}

/* A connection pays for a step of 2 ms: its next step comes after those that have used less. */
static void test_a_step_that_used_much_goes_behind(void **state)
{
    (void)state;
    struct busy greedy, modest;
    busy_init(&greedy, 'G', 2 * NS_PER_MS, 0);
    busy_init(&modest, 'm', 0, 0);
    step_queue_established(&run.turn, &greedy.step);
    turn_run(&run.turn);
    fixture.loop.now = greedy.step.credited_at; /* passing time would give credit back */
    step_queue_established(&run.turn, &greedy.step);
    step_queue_established(&run.turn, &modest.step);
    fixture.loop.stopped = false;
    run.turns_left = 1;
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "GF|mGF|");
}

static void nothing(struct step *step)
{
    (void)step;
}

/* Finding the next STEP_BEHIND takes constant time, however many there are and whatever they owe
 * the others. */
static void test_many_behind_take_constant_time(void **state)
{
    (void)state;
    struct {
        struct step step;
        char rest[960]; /* the size of a connection's other fields */
    } *connections = calloc(MANY_BEHIND, sizeof *connections);
    assert_non_null(connections);
    for (size_t i = 0; i < MANY_BEHIND; i++) {
        struct step *step = &connections[i * 7919 % MANY_BEHIND].step; /* scattered in memory */
        step_init(step, nothing);
        step->credit = -300 * (int64_t)NS_PER_US;
        step_queue(&run.turn, STEP_BEHIND, step);
    }
    run.turn.established_budget = 1;
    turn_run(&run.turn);
    assert_true(run.turns_cpu.max < 5 * NS_PER_MS);
    assert_true(step_waiting(&run.turn, STEP_BEHIND));
    free(connections);
}

static void test_established_have_a_budget(void **state)
{
    (void)state;
    struct busy busy[3];
    struct step steps[3];
    run.turn.established_budget = 1;
    run.turns_left = 3;
    for (int i = 0; i < 3; i++) {
        busy_init(&busy[i], (char)('1' + i), 1, 0);
        step_queue_established(&run.turn, &busy[i].step);
    }
    queue_all(steps);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "1fbaF|2F|3F|");
}

/* An event arrives while steps of handshakes run. */
static void test_established_are_served_between_steps(void **state)
{
    (void)state;
    struct pair pair;
    struct busy handshakes[2];
    pair_open(&pair, pair_read);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    watch_between(&fixture.loop, &pair.watch);
    for (int i = 0; i < 2; i++) {
        busy_init(&handshakes[i], (char)('1' + i), 200 * NS_PER_US, 0);
        step_queue(&run.turn, STEP_BEGIN, &handshakes[i].step);
    }
    handshakes[0].speaks = &pair;
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "1E2F|");
    pair_close(&pair);
}

/* The look between steps costs system calls, so it is only for watches that have asked for it. */
static void test_others_wait_for_the_next_turn(void **state)
{
    (void)state;
    struct pair pair;
    struct busy handshakes[2];
    pair_open(&pair, pair_read);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    for (int i = 0; i < 2; i++) {
        busy_init(&handshakes[i], (char)('1' + i), 200 * NS_PER_US, 0);
        step_queue(&run.turn, STEP_BEGIN, &handshakes[i].step);
    }
    handshakes[0].speaks = &pair;
    run.turns_left = 2;
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "12F|EF|");
    pair_close(&pair);
}

/* An event that was reported between steps and not served is reported again; an unwanted one is not
 * reported. */
static void test_no_event_between_steps_is_lost(void **state)
{
    (void)state;
    struct pair pair;
    struct busy handshakes[2];
    pair_open(&pair, pair_read);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    watch_between(&fixture.loop, &pair.watch);
    watch_between(&fixture.loop, &pair.watch); /* a second call has no effect */
    assert_int_equal(fixture.loop.between_count, 1);
    watch_want(&fixture.loop, &pair.watch, 0);
    for (int i = 0; i < 2; i++) {
        busy_init(&handshakes[i], (char)('1' + i), 200 * NS_PER_US, 0);
        step_queue(&run.turn, STEP_BEGIN, &handshakes[i].step);
    }
    handshakes[0].speaks = &pair;
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "12F|");
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    run.turns_left = 1;
    fixture.loop.stopped = false;
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "12F|EF|");
    pair_close(&pair);
    assert_int_equal(fixture.loop.between_count, 0);
}

/* Long turns are measured by the CPU clock, so the time that a step sleeps does not count. */
static void sleep_step(struct step *step)
{
    (void)step;
    usleep(5000);
}

static void test_long_turns_count_with_their_cpu_time(void **state)
{
    (void)state;
    struct step step;
    step_init(&step, sleep_step);
    step_queue(&run.turn, STEP_BEGIN, &step);
    turn_run(&run.turn);
    assert_true(histogram_quantile(&run.turns, 1.0) >= 5 * NS_PER_MS);
    assert_true(histogram_quantile(&run.turns_cpu, 1.0) < 3 * NS_PER_MS);
}

/* An edge-triggered watch does not report unread bytes again. */
static void test_edge_triggered_events_are_reported_once(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, pair_read);
    pair.watch.trigger = WATCH_EDGE;
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    assert_int_equal(write(pair.other, "EE", 2), 2);
    run.turns_left = 2;
    timer_start_at(&fixture.loop, &run.limit, clock_now() + 20 * NS_PER_MS);
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "EF|F|");

    /* A level-triggered one, as for established connections, does. */
    watch_level(&pair.watch);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    run.turns_left = 1;
    fixture.loop.stopped = false;
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "EF|F|EF|");
    pair_close(&pair);
}

static void slow_timer_expired(struct timer *timer)
{
    (void)timer;
    uint64_t end = clock_now() + NS_PER_MS;
    note('T');
    while (clock_now() < end)
        continue;
}

static void test_timers_have_a_budget(void **state)
{
    (void)state;
    struct timer timers[2];
    run.turns_left = 2;
    for (int i = 0; i < 2; i++) {
        timer_init(&timers[i], slow_timer_expired);
        timer_start_at(&fixture.loop, &timers[i], clock_now() - NS_PER_S);
    }
    turn_run(&run.turn);
    assert_string_equal(fixture.order, "FT|FT|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_steps_finish_before_they_begin, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_held_steps_come_after_those_that_go_on, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_accepting_gets_half_of_the_time, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_spent_budget_leaves_the_rest_for_the_next_turn, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_events_come_before_steps, setup, loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_unwanted_events_are_switched_off_when_they_come, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_closed_watch_is_passed_over, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_timers_run_last, setup, loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_a_step_with_more_to_do_goes_behind, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_a_step_that_used_much_goes_behind, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_many_behind_take_constant_time, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_established_have_a_budget, setup, loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_established_are_served_between_steps, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_others_wait_for_the_next_turn, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_no_event_between_steps_is_lost, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_long_turns_count_with_their_cpu_time, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_edge_triggered_events_are_reported_once, setup,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_timers_have_a_budget, setup, loop_fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
