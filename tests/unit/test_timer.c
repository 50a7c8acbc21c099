/* Timers: order, moving, stopping, and that one may stop or start another while expiring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/worker/core/timer.h"

static struct timer timers[3];
static struct timer_queue queue;
static int expired[8];
static int expired_count;

static void note(struct timer *timer)
{
    expired[expired_count++] = (int)(timer - timers);
}

static void run_all(uint64_t now)
{
    while (timer_queue_run(&queue, now))
        continue;
}

static int setup(void **state)
{
    (void)state;
    expired_count = 0;
    timer_queue_init(&queue, 100, note);
    for (int i = 0; i < 3; i++)
        list_init(&timers[i].node);
    return 0;
}

static void test_expire_in_order(void **state)
{
    (void)state;
    assert_int_equal(timer_queue_next(&queue), UINT64_MAX);
    timer_start(&queue, &timers[1], 10);
    timer_start(&queue, &timers[0], 20);
    assert_int_equal(timer_queue_next(&queue), 110);
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
    timer_start(&queue, &timers[0], 0);
    timer_start(&queue, &timers[1], 0);
    assert_true(timer_queue_run(&queue, 100));
    assert_int_equal(expired_count, 1);
    assert_true(timer_queue_run(&queue, 100));
    assert_false(timer_queue_run(&queue, 100));
    assert_int_equal(expired_count, 2);
}

static void test_start_again_moves(void **state)
{
    (void)state;
    timer_start(&queue, &timers[0], 0);
    timer_start(&queue, &timers[1], 1);
    timer_start(&queue, &timers[0], 50);
    run_all(101);
    assert_int_equal(expired_count, 1);
    assert_int_equal(expired[0], 1);
    assert_int_equal(timer_queue_next(&queue), 150);
}

static void test_stop(void **state)
{
    (void)state;
    timer_start(&queue, &timers[0], 0);
    timer_stop(&timers[0]);
    timer_stop(&timers[0]);
    run_all(1000);
    assert_int_equal(expired_count, 0);
}

static void stop_next(struct timer *timer)
{
    note(timer);
    timer_stop(&timers[1]);
    timer_start(&queue, &timers[2], 1000);
}

static void test_change_while_expiring(void **state)
{
    (void)state;
    queue.expired = stop_next;
    timer_start(&queue, &timers[0], 0);
    timer_start(&queue, &timers[1], 0);
    run_all(500);
    assert_int_equal(expired_count, 1);
    assert_int_equal(timer_queue_next(&queue), 1100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_expire_in_order, setup),
        cmocka_unit_test_setup(test_one_at_a_time, setup),
        cmocka_unit_test_setup(test_start_again_moves, setup),
        cmocka_unit_test_setup(test_stop, setup),
        cmocka_unit_test_setup(test_change_while_expiring, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
