/* Rates: how they are parsed, and what a bucket admits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keyd/rules/rate.h"

#define START (100 * NS_PER_S)

static const struct rate unlimited;

static void assert_rate(const char *text, uint64_t interval, uint64_t burst)
{
    struct rate rate;
    assert_true(rate_parse(text, &rate));
    assert_int_equal(rate.interval, interval);
    assert_int_equal(rate.burst, burst);
}

static void as_written(void **state)
{
    (void)state;
    assert_rate("1/s", NS_PER_S, NS_PER_S);
    assert_rate("1000/s", NS_PER_MS, NS_PER_S);
    assert_rate("1000000/s", NS_PER_US, NS_PER_S);
    assert_rate("1000/s burst 1", NS_PER_MS, NS_PER_MS);
    assert_rate("10/s burst 1000000", NS_PER_S / 10, 100000 * NS_PER_S);
    assert_rate("60/m", NS_PER_S, NS_PER_S);
    assert_rate("1/m", 60 * NS_PER_S, 60 * NS_PER_S);
    static const char *const wrong[] = {"",          "0/s",          "1000001/s",    "-1/s",
                                        "1/h",       " 1/s",         "1/s ",         "1/sx",
                                        "1000",      "1/s burst",    "1/s burst 0",  "1/s burst -1",
                                        "x/s",       "1/s burst 1x", "1/s, burst 1", "1 /s",
                                        "1.5/s",     "/s",           "1/s burst 1 ", "1/s  burst 1",
                                        "1/sburst 1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rate rate;
        if (rate_parse(wrong[i], &rate))
            fail_msg("\"%s\" was taken", wrong[i]);
    }
}

/* How many of `tries` requests are admitted at once. */
static unsigned take(const struct rate *rate, uint64_t *bucket, uint64_t now, unsigned tries)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < tries; i++) {
        if (!rate_admits(rate, *bucket, 1, now))
            continue;
        rate_take(rate, bucket, 1, now);
        taken++;
    }
    return taken;
}

static void a_bucket(void **state)
{
    (void)state;
    struct rate rate;
    uint64_t bucket = 0, other = 0;
    assert_true(rate_parse("10/s burst 5", &rate));
    assert_int_equal(take(&rate, &bucket, START, 100), 5);
    assert_int_equal(take(&rate, &bucket, START + 99 * NS_PER_MS, 100), 0);
    assert_int_equal(take(&rate, &bucket, START + 100 * NS_PER_MS, 100), 1);
    assert_int_equal(take(&rate, &bucket, START + 350 * NS_PER_MS, 100), 2);
    assert_int_equal(take(&rate, &bucket, START + 60 * NS_PER_S, 100), 5);
    /* in the long run the rate holds, however often somebody asks */
    unsigned taken = 0;
    for (uint64_t now = START + 120 * NS_PER_S; now < START + 130 * NS_PER_S; now += NS_PER_MS)
        taken += take(&rate, &bucket, now, 3);
    assert_in_range(taken, 104, 105);
    assert_int_equal(take(&unlimited, &other, START, 100), 100);
}

static void several_at_once(void **state)
{
    (void)state;
    struct rate rate;
    uint64_t bucket = 0;
    assert_true(rate_parse("10/s burst 5", &rate));
    assert_false(rate_admits(&rate, bucket, 6, START));
    assert_true(rate_admits(&rate, bucket, 3, START));
    rate_take(&rate, &bucket, 3, START);
    assert_false(rate_admits(&rate, bucket, 3, START));
    assert_true(rate_admits(&rate, bucket, 2, START));
    rate_give_back(&rate, &bucket);
    assert_true(rate_admits(&rate, bucket, 3, START));
    assert_false(rate_admits(&rate, bucket, 4, START));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_written),
        cmocka_unit_test(a_bucket),
        cmocka_unit_test(several_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
