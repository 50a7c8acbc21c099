/* The event loop: events, the expiry of timers, signals, work at the end of a turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loop/signal_watch.h"
#include "loop_fixture.h"

/* ---- watches ---- */

static void read_and_stop(struct watch *watch, uint32_t events)
{
    pair_read(watch, events);
    loop_stop(&fixture.loop);
}

static void pair_say(const struct pair *pair, const char *bytes, size_t length)
{
    assert_int_equal(write(pair->other, bytes, length), length);
}

static void test_an_event_is_reported(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, read_and_stop);
    assert_true(watch_want(&fixture.loop, &pair.watch, EPOLLIN));
    pair_say(&pair, "E", 1);
    loop_run(&fixture.loop);
    assert_string_equal(fixture.order, "E");
    pair_close(&pair);
}

static void test_level_is_reported_again_and_edge_once(void **state)
{
    (void)state;
    struct pair level, edge;
    pair_open(&level, pair_read);
    pair_open(&edge, pair_read);
    edge.watch.trigger = WATCH_EDGE;
    watch_want(&fixture.loop, &level.watch, EPOLLIN);
    watch_want(&fixture.loop, &edge.watch, EPOLLIN);
    pair_say(&level, "ll", 2);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 0);
    pair_say(&edge, "ee", 2);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 0);
    assert_string_equal(fixture.order, "lle");

    watch_level(&edge.watch);
    watch_want(&fixture.loop, &edge.watch, EPOLLIN);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_string_equal(fixture.order, "llee");
    pair_close(&level);
    pair_close(&edge);
}

/* The kernel is told of fewer wanted events only after the second unwanted event. */
static void test_fewer_wanted_events_are_registered_lazily(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, pair_read);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    watch_want(&fixture.loop, &pair.watch, 0);
    assert_int_equal(pair.watch.registered, EPOLLIN);
    pair_say(&pair, "E", 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 0);
    assert_int_equal(pair.watch.registered, 0);
    assert_string_equal(fixture.order, "");

    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_string_equal(fixture.order, "E");
    pair_close(&pair);
}

static void note_end(struct watch *watch, uint32_t events)
{
    note(events & EPOLLHUP ? 'H' : '?');
    watch_close(&fixture.loop, watch);
}

/* A watch that wants no bytes for now can still report that the peer has gone. */
static void test_only_the_end_may_be_wanted(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, note_end);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN | EPOLLHUP);
    watch_want(&fixture.loop, &pair.watch, EPOLLHUP);
    pair_say(&pair, "E", 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 0);
    assert_string_equal(fixture.order, "");
    close(pair.other);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_string_equal(fixture.order, "H");
}

static struct pair *victim;

static void close_victim(struct watch *watch, uint32_t events)
{
    pair_read(watch, events);
    watch_close(&fixture.loop, &victim->watch);
}

static void test_a_closed_watch_gets_no_event(void **state)
{
    (void)state;
    struct pair first, second;
    pair_open(&first, close_victim);
    pair_open(&second, pair_read);
    victim = &second;
    watch_want(&fixture.loop, &first.watch, EPOLLIN);
    watch_want(&fixture.loop, &second.watch, EPOLLIN);
    pair_say(&first, "1", 1);
    pair_say(&second, "2", 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 2);
    assert_string_equal(fixture.order, "1");
    pair_close(&first);
    pair_close(&second);
}

static void test_only_some_are_looked_at_between(void **state)
{
    (void)state;
    struct pair few, other;
    pair_open(&few, pair_read);
    pair_open(&other, pair_read);
    watch_want(&fixture.loop, &few.watch, EPOLLIN);
    watch_want(&fixture.loop, &other.watch, EPOLLIN);
    watch_between(&fixture.loop, &few.watch);
    assert_int_equal(fixture.loop.between_count, 1);
    pair_say(&few, "ff", 2);
    pair_say(&other, "o", 1);
    assert_int_equal(loop_look_between(&fixture.loop), 1);
    assert_int_equal(loop_look_between(&fixture.loop), 0);
    assert_string_equal(fixture.order, "f");
    assert_int_equal(loop_look(&fixture.loop, 0), 2); /* what is left is reported again */
    assert_int_equal(fixture.count, 3);
    pair_close(&few);
    assert_int_equal(fixture.loop.between_count, 0);
    pair_close(&other);
}

static void test_a_released_descriptor_is_open_and_not_watched(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, pair_read);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    watch_between(&fixture.loop, &pair.watch);
    pair_say(&pair, "E", 1);
    int descriptor = watch_release(&fixture.loop, &pair.watch);
    assert_int_equal(loop_look(&fixture.loop, 0), 0);
    assert_int_equal(loop_look_between(&fixture.loop), 0);
    watch_open(&pair.watch, descriptor, WATCH_LEVEL);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_string_equal(fixture.order, "E");
    pair_close(&pair);
}

static void test_a_copied_descriptor_keeps_no_watch(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, pair_read);
    watch_want(&fixture.loop, &pair.watch, EPOLLIN);
    int copy = dup(pair.watch.descriptor); /* like that of a child between fork and exec */
    watch_close_shared(&fixture.loop, &pair.watch);
    assert_int_equal(pair.watch.descriptor, -1);
    pair_say(&pair, "E", 1);
    assert_int_equal(loop_look(&fixture.loop, 0), 0);
    watch_close_shared(&fixture.loop, &pair.watch); /* a second call has no effect */
    close(copy);
    pair_close(&pair);
}

static void test_a_failed_registration_is_reported(void **state)
{
    (void)state;
    struct watch watch;
    watch_init(&watch, pair_read);
    watch_open(&watch, 999999, WATCH_LEVEL);
    assert_false(watch_want(&fixture.loop, &watch, EPOLLIN));
    assert_int_equal(watch.registered, 0);
}

/* ---- timers ---- */

struct named {
    struct timer timer;
    char name;
    bool last;
};

static void named_expired(struct timer *timer)
{
    struct named *named = list_entry(timer, struct named, timer);
    note(named->name);
    if (named->last)
        loop_stop(&fixture.loop);
}

static void named_init(struct named *named, char name, bool last)
{
    *named = (struct named){.name = name, .last = last};
    timer_init(&named->timer, named_expired);
}

static void test_timers_expire_in_time(void **state)
{
    (void)state;
    struct named timers[3];
    uint64_t begun = fixture.loop.now;
    for (int i = 0; i < 3; i++)
        named_init(&timers[i], (char)('1' + i), i == 2);
    timer_start(&fixture.loop, &timers[2].timer, 30 * NS_PER_MS);
    timer_start(&fixture.loop, &timers[1].timer, 1);
    timer_start(&fixture.loop, &timers[0].timer, 500 * NS_PER_S);
    timer_start_at(&fixture.loop, &timers[0].timer, begun - NS_PER_S); /* in the past */
    loop_run(&fixture.loop);
    assert_int_equal(fixture.count, 3);
    assert_int_equal(fixture.order[2], '3');
    assert_true(fixture.loop.now - begun >= 30 * NS_PER_MS);
}

static void test_exact_waits(void **state)
{
    (void)state;
    uint64_t earliest = UINT64_MAX;
    fixture.loop.exact = true;
    for (int i = 0; i < 20; i++) { /* the machine may be busy */
        uint64_t begun = clock_now();
        assert_int_equal(loop_look(&fixture.loop, begun + 50 * NS_PER_US), 0);
        assert_true(fixture.loop.now - begun >= 50 * NS_PER_US);
        earliest = fixture.loop.now - begun < earliest ? fixture.loop.now - begun : earliest;
    }
    assert_true(earliest < NS_PER_MS);
}

static void test_a_timer_that_never_expires(void **state)
{
    (void)state;
    struct named never, soon;
    named_init(&never, 'n', false);
    named_init(&soon, 's', true);
    timer_start(&fixture.loop, &never.timer, UINT64_MAX);
    timer_start(&fixture.loop, &soon.timer, NS_PER_MS);
    loop_run(&fixture.loop);
    assert_string_equal(fixture.order, "s");
    timer_stop(&fixture.loop, &never.timer);
    assert_int_equal(loop_deadline(&fixture.loop), UINT64_MAX);
}

static unsigned restarts;

static void restart_at_once(struct timer *timer)
{
    restarts++;
    timer_start(&fixture.loop, timer, 0);
}

/* A timer that restarts itself without a pause expires once a turn. */
static void test_one_expiry_a_turn(void **state)
{
    (void)state;
    struct timer timer;
    restarts = 0;
    timer_init(&timer, restart_at_once);
    timer_start(&fixture.loop, &timer, 0);
    for (unsigned turn = 1; turn <= 3; turn++) {
        loop_look(&fixture.loop, loop_deadline(&fixture.loop));
        loop_run_timers(&fixture.loop);
        assert_int_equal(restarts, turn);
    }
    timer_stop(&fixture.loop, &timer);
}

static void expire_slowly(struct timer *timer)
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
    for (int i = 0; i < 2; i++) {
        timer_init(&timers[i], expire_slowly);
        timer_start(&fixture.loop, &timers[i], 0);
    }
    loop_look(&fixture.loop, 0);
    loop_run_timers(&fixture.loop);
    assert_string_equal(fixture.order, "T");
    assert_true(loop_deadline(&fixture.loop) <=
                fixture.loop.now); /* the second timer is due at once */
    loop_look(&fixture.loop, loop_deadline(&fixture.loop));
    loop_run_timers(&fixture.loop);
    assert_string_equal(fixture.order, "TT");
}

/* The owner may set the loop's time back to the time before the wait. The budget of timers counts
 * from the present all the same. */
static void test_the_budget_begins_now(void **state)
{
    (void)state;
    struct named timers[3];
    for (int i = 0; i < 20 && fixture.count < 3; i++) { /* the machine may be busy */
        fixture.count = 0;
        for (int j = 0; j < 3; j++) {
            named_init(&timers[j], 'T', false);
            timer_start(&fixture.loop, &timers[j].timer, 0);
        }
        usleep(2000);
        loop_look(&fixture.loop, 0);
        fixture.loop.now -= NS_PER_MS;
        loop_run_timers(&fixture.loop);
        for (int j = 0; j < 3; j++)
            timer_stop(&fixture.loop, &timers[j].timer);
    }
    assert_int_equal(fixture.count, 3);
}

/* ---- signals ---- */

static void caught(struct signal_watch *signals, int number)
{
    note(number == SIGUSR1 ? '1' : number == SIGUSR2 ? '2' : '?');
    if (number == SIGUSR2) {
        signal_watch_close(&fixture.loop, signals);
        loop_stop(&fixture.loop);
    }
}

static void test_signals_are_events(void **state)
{
    (void)state;
    struct signal_watch signals;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    signal_watch_init(&signals, caught);
    assert_true(signal_watch_open(&fixture.loop, &signals, &set));
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(loop_look(&fixture.loop, 0), 1);
    assert_string_equal(fixture.order, "1");
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(raise(SIGUSR2), 0);
    loop_run(&fixture.loop);
    assert_string_equal(fixture.order, "112");
    signal_watch_close(&fixture.loop, &signals); /* a second call has no effect */
}

/* ---- work ---- */

static struct work first_work, second_work;

static void run_second(struct work *work)
{
    (void)work;
    note('2');
    loop_stop(&fixture.loop);
}

static void run_first(struct work *work)
{
    (void)work;
    note('1');
    work_queue(&fixture.loop, &second_work);
}

static void test_work_comes_last_in_a_turn(void **state)
{
    (void)state;
    struct named timer;
    named_init(&timer, 'T', false);
    work_init(&first_work, run_first);
    work_init(&second_work, run_second);
    work_queue(&fixture.loop, &first_work);
    work_queue(&fixture.loop, &first_work);
    timer_start_at(&fixture.loop, &timer.timer, 0);
    assert_int_equal(loop_deadline(&fixture.loop), 0);
    loop_run(&fixture.loop);
    assert_string_equal(fixture.order, "T12");
}

static void test_dropped_work_is_not_done(void **state)
{
    (void)state;
    work_init(&first_work, run_first);
    work_queue(&fixture.loop, &first_work);
    work_drop(&first_work);
    work_drop(&first_work);
    loop_run_work(&fixture.loop);
    assert_string_equal(fixture.order, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_event_is_reported, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_level_is_reported_again_and_edge_once,
                                        loop_fixture_open, loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_fewer_wanted_events_are_registered_lazily,
                                        loop_fixture_open, loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_only_the_end_may_be_wanted, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_a_closed_watch_gets_no_event, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_only_some_are_looked_at_between, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_a_released_descriptor_is_open_and_not_watched,
                                        loop_fixture_open, loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_a_copied_descriptor_keeps_no_watch, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_a_failed_registration_is_reported, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_timers_expire_in_time, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_exact_waits, loop_fixture_open, loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_a_timer_that_never_expires, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_one_expiry_a_turn, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_timers_have_a_budget, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_the_budget_begins_now, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_signals_are_events, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_work_comes_last_in_a_turn, loop_fixture_open,
                                        loop_fixture_close),
        cmocka_unit_test_setup_teardown(test_dropped_work_is_not_done, loop_fixture_open,
                                        loop_fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
