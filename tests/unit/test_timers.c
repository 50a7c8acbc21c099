/* Timers: their order, restarting and stopping, that one may stop or start another when it expires,
 * that many cost little, and what happens to timers for which there is no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loop/timers.h"

#define MANY 100000

static struct timer timers[3];
static struct timers running;
static int expired[8];
static int expired_count;

static bool no_memory;

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
    return no_memory ? NULL : __real_realloc(memory, size);
}

static void note(struct timer *timer)
{
    expired[expired_count++] = (int)(timer - timers);
}

static void run_all(uint64_t now)
{
    while (timers_run(&running, now))
        continue;
}

static int setup(void **state)
{
    (void)state;
    expired_count = 0;
    timers_init(&running);
    for (int i = 0; i < 3; i++)
        timer_init(&timers[i], note);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    timers_release(&running);
    return 0;
}

static void test_expire_in_order(void **state)
{
    (void)state;
    assert_int_equal(timers_next(&running), UINT64_MAX);
    timers_start(&running, &timers[1], 110);
    timers_start(&running, &timers[0], 120);
    assert_int_equal(timers_next(&running), 110);
    run_all(109);
    assert_int_equal(expired_count, 0);
    run_all(120);
    assert_int_equal(expired_count, 2);
    assert_int_equal(expired[0], 1);
    assert_int_equal(expired[1], 0);
    run_all(1000);
    assert_int_equal(expired_count, 2);
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    timers_start(&running, &timers[0], 100);
    timers_start(&running, &timers[1], 100);
    assert_true(timers_run(&running, 100));
    assert_int_equal(expired_count, 1);
    assert_true(timers_run(&running, 100));
    assert_false(timers_run(&running, 100));
    assert_int_equal(expired_count, 2);
}

static void test_start_again_moves(void **state)
{
    (void)state;
    timers_start(&running, &timers[0], 100);
    timers_start(&running, &timers[1], 101);
    timers_start(&running, &timers[0], 150);
    run_all(101);
    assert_int_equal(expired_count, 1);
    assert_int_equal(expired[0], 1);
    assert_int_equal(timers_next(&running), 150);
}

static void test_stop(void **state)
{
    (void)state;
    timers_start(&running, &timers[0], 100);
    timers_stop(&running, &timers[0]);
    timers_stop(&running, &timers[0]);
    run_all(1000);
    assert_int_equal(expired_count, 0);
}

static void stop_next(struct timer *timer)
{
    note(timer);
    timers_stop(&running, &timers[1]);
    timers_start(&running, &timers[2], 1100);
}

static void test_change_while_expiring(void **state)
{
    (void)state;
    timers[0].expired = stop_next;
    timers_start(&running, &timers[0], 100);
    timers_start(&running, &timers[1], 100);
    run_all(500);
    assert_int_equal(expired_count, 1);
    assert_int_equal(timers_next(&running), 1100);
}

static void test_start_again_advances(void **state)
{
    (void)state;
    timers_start(&running, &timers[0], 100);
    timers_start(&running, &timers[1], 200);
    timers_start(&running, &timers[1], 50);
    assert_int_equal(timers_next(&running), 50);
    run_all(50);
    assert_int_equal(expired_count, 1);
    assert_int_equal(expired[0], 1);
}

static void test_runs_until_it_expires_or_is_stopped(void **state)
{
    (void)state;
    assert_false(timer_is_running(&timers[0]));
    timers_start(&running, &timers[0], 100);
    assert_true(timer_is_running(&timers[0]));
    run_all(100);
    assert_false(timer_is_running(&timers[0]));
    timers_start(&running, &timers[0], 200);
    timers_stop(&running, &timers[0]);
    assert_false(timer_is_running(&timers[0]));
}

static struct timer many[MANY];
static uint64_t last_expired;
static size_t many_expired;

static void note_order(struct timer *timer)
{
    assert_true(timer->expires >= last_expired);
    last_expired = timer->expires;
    many_expired++;
}

static void start_many(void)
{
    last_expired = 0;
    many_expired = 0;
    srandom(1);
    for (size_t i = 0; i < MANY; i++) {
        timer_init(&many[i], note_order);
        timers_start(&running, &many[i], 1 + (uint64_t)random() % 1000000);
    }
}

static void test_many_of_any_duration(void **state)
{
    (void)state;
    start_many();
    for (size_t i = 0; i < MANY; i += 3)
        timers_start(&running, &many[i], 1 + (uint64_t)random() % 1000000);
    for (size_t i = 0; i < MANY; i += 4)
        timers_stop(&running, &many[i]);
    run_all(1000000);
    assert_int_equal(many_expired, MANY - MANY / 4);
    assert_int_equal(timers_next(&running), UINT64_MAX);
}

/* Postponing a timer does not move it in the heap. Each timer is moved once, when its old time
 * comes, however often it was postponed. */
static void test_postponing_moves_once(void **state)
{
    (void)state;
    size_t moves = 0;
    start_many();
    for (unsigned times = 1; times <= 10; times++)
        for (size_t i = 0; i < MANY; i++) {
            size_t place = many[i].node.place;
            timers_start(&running, &many[i], 1000000 + times * 1000000);
            assert_int_equal(many[i].node.place, place);
        }
    while (timers_run(&running, 10999999))
        moves++;
    assert_int_equal(moves, MANY);
    assert_int_equal(many_expired, 0);
    run_all(11000000);
    assert_int_equal(many_expired, MANY);
}

static void test_without_memory_they_expire_at_once(void **state)
{
    (void)state;
    no_memory = true;
    timers_start(&running, &timers[0], 1000);
    timers_start(&running, &timers[1], 1000);
    timers_start(&running, &timers[2], 1000);
    no_memory = false;
    assert_true(timer_is_running(&timers[0]));
    assert_int_equal(timers_next(&running), 0);
    timers_stop(&running, &timers[0]);
    timers_start(&running, &timers[2], 1000); /* now there is memory for it */
    run_all(1);
    assert_int_equal(expired_count, 1);
    assert_int_equal(expired[0], 1);
    run_all(1000);
    assert_int_equal(expired_count, 2);
    assert_int_equal(expired[1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_expire_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_again_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_change_while_expiring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_again_advances, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs_until_it_expires_or_is_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_of_any_duration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_postponing_moves_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory_they_expire_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
