/* The schedule: its rate, that it is a Poisson process, and that it does not drift. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/clock.h"
#include "storm/schedule.h"

#define ARRIVALS 200000

static void test_poisson_mean_and_spread(void **state)
{
    (void)state;
    /* The gaps of a Poisson process are exponential: mean and deviation both 1 / rate, and
     * e^-1 of them are longer than the mean. */
    const double rate = 1000, mean = (double)NS_PER_S / rate;
    struct schedule schedule = schedule_poisson(5 * NS_PER_S, rate, 1);
    double sum = 0, squares = 0;
    unsigned longer = 0;
    uint64_t last = 5 * NS_PER_S;
    for (int i = 0; i < ARRIVALS; i++) {
        uint64_t next = schedule_next(&schedule);
        assert_true(next >= last);
        double gap = (double)(next - last);
        sum += gap;
        squares += gap * gap;
        longer += gap > mean;
        last = next;
        schedule_advance(&schedule);
    }
    double found = sum / ARRIVALS;
    double deviation = sqrt(squares / ARRIVALS - found * found);
    assert_true(fabs(found / mean - 1) < 0.01);
    assert_true(fabs(deviation / mean - 1) < 0.02);
    assert_true(fabs((double)longer / ARRIVALS - exp(-1)) < 0.005);
}

static void test_seeds_differ(void **state)
{
    (void)state;
    struct schedule one = schedule_poisson(0, 100, 1), same = schedule_poisson(0, 100, 1);
    struct schedule other = schedule_poisson(0, 100, 2);
    assert_int_equal(schedule_next(&one), schedule_next(&same));
    assert_int_not_equal(schedule_next(&one), schedule_next(&other));
}

static void test_regular_does_not_drift(void **state)
{
    (void)state;
    /* 3 per second: an interval that whole nanoseconds cannot express. */
    struct schedule schedule = schedule_regular(0, 3, 7);
    uint64_t first = schedule_next(&schedule);
    assert_true(first <= NS_PER_S / 3);
    for (int i = 0; i < 3 * 86400; i++)
        schedule_advance(&schedule);
    uint64_t day = schedule_next(&schedule) - first, wanted = 86400 * NS_PER_S;
    assert_true(day > wanted ? day - wanted < NS_PER_US : wanted - day < NS_PER_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_poisson_mean_and_spread),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_regular_does_not_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
