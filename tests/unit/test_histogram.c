/* Quantiles to within 1 %, none where there are too few values, and many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/histogram.h"

static int make(void **state)
{
    *state = calloc(1, sizeof(struct histogram));
    return *state == NULL;
}

static int unmake(void **state)
{
    free(*state);
    return 0;
}

static void assert_within_1_percent(uint64_t reported, uint64_t value)
{
    double error = fabs((double)reported - (double)value) / (double)value;
    if (error >= 0.01)
        fail_msg("%llu was reported as %llu", (unsigned long long)value,
                 (unsigned long long)reported);
}

/* The error of one bucket. A second, longer value makes sure that `max`, which is exact, is not
 * used. */
static void check_value(uint64_t ns)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    histogram_record(histogram, ns);
    histogram_record(histogram, 2 * 60 * NS_PER_S);
    assert_within_1_percent(histogram_quantile(histogram, 0.5), ns);
    free(histogram);
}

static void test_value_error(void **state)
{
    (void)state;
    for (uint64_t ns = NS_PER_US; ns < 3 * NS_PER_US; ns++)
        check_value(ns);
    for (uint64_t ns = NS_PER_US; ns <= 60 * NS_PER_S; ns += ns / 301) {
        check_value(ns);
        check_value(ns + 1);
    }
    for (uint64_t power = 1024; power <= 60 * NS_PER_S; power *= 2) {
        check_value(power - 1);
        check_value(power);
    }
    check_value(60 * NS_PER_S);
}

static void test_empty(void **state)
{
    struct histogram *histogram = *state;
    assert_int_equal(histogram_count(histogram), 0);
    assert_int_equal(histogram_quantile(histogram, 0.5), 0);
    assert_int_equal(histogram_quantile(histogram, 1), 0);
}

static void test_quantiles(void **state)
{
    struct histogram *histogram = *state;
    for (uint64_t i = 1; i <= 100000; i++)
        histogram_record(histogram, i * NS_PER_US);
    assert_int_equal(histogram_count(histogram), 100000);
    assert_within_1_percent(histogram_quantile(histogram, 0.5), 50000 * NS_PER_US);
    assert_within_1_percent(histogram_quantile(histogram, 0.99), 99000 * NS_PER_US);
    assert_within_1_percent(histogram_quantile(histogram, 0.999), 99900 * NS_PER_US);
    assert_within_1_percent(histogram_quantile(histogram, 0.9999), 99990 * NS_PER_US);
    assert_within_1_percent(histogram_quantile(histogram, 1), 100000 * NS_PER_US);
    assert_within_1_percent(histogram_quantile(histogram, 0), NS_PER_US);
    assert_true(histogram_quantile(histogram, 1) <= 100000 * NS_PER_US);
    assert_int_equal(histogram->sum, NS_PER_US * 100000 * 100001 / 2);
    assert_int_equal(histogram->max, 100000 * NS_PER_US);
}

static void test_one_slow_of_a_million_is_seen(void **state)
{
    struct histogram *histogram = *state;
    for (int i = 0; i < 999999; i++)
        histogram_record(histogram, 10 * NS_PER_US);
    histogram_record(histogram, NS_PER_S);
    assert_within_1_percent(histogram_quantile(histogram, 0.999999), 10 * NS_PER_US);
    assert_within_1_percent(histogram_quantile(histogram, 1), NS_PER_S);
    assert_int_equal(histogram_count_up_to(histogram, NS_PER_MS), 999999);
    assert_int_equal(histogram_count_up_to(histogram, 2 * NS_PER_S), 1000000);
}

static void test_too_long_counts_as_the_longest(void **state)
{
    struct histogram *histogram = *state;
    histogram_record(histogram, UINT64_MAX / 4);
    histogram_record(histogram, 0);
    assert_int_equal(histogram_count(histogram), 2);
    assert_int_equal(histogram->max, UINT64_MAX / 4);
    assert_within_1_percent(histogram_quantile(histogram, 1), 60 * NS_PER_S);
}

static void test_merge(void **state)
{
    struct histogram *both = *state, *one = calloc(2, sizeof *one), *other = one + 1;
    assert_non_null(one);
    for (uint64_t i = 1; i <= 1000; i++) {
        histogram_record(i % 3 == 0 ? one : other, i * NS_PER_MS);
        histogram_record(both, i * NS_PER_MS);
    }
    uint64_t median = histogram_quantile(both, 0.5);
    histogram_merge(one, other);
    assert_int_equal(histogram_count(one), 1000);
    assert_int_equal(histogram_quantile(one, 0.5), median);
    assert_int_equal(one->sum, both->sum);
    assert_int_equal(one->max, both->max);
    free(one);
}

#define CONCURRENT 200000

static void *write_values(void *arg)
{
    for (uint64_t i = 0; i < CONCURRENT; i++)
        histogram_record(arg, i * 1000);
    return NULL;
}

/* A concurrent reader sees a count that only grows, and the thread sanitizer finds no race. */
static void test_concurrent_reader(void **state)
{
    struct histogram *histogram = *state;
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_values, histogram), 0);
    uint64_t seen = 0;
    while (seen < CONCURRENT) {
        struct histogram *copy = calloc(1, sizeof *copy);
        assert_non_null(copy);
        histogram_merge(copy, histogram);
        assert_true(histogram_count(copy) >= seen);
        seen = histogram_count(copy);
        free(copy);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(histogram_count(histogram), CONCURRENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_error),
        TEST(test_empty),
        TEST(test_quantiles),
        TEST(test_one_slow_of_a_million_is_seen),
        TEST(test_too_long_counts_as_the_longest),
        TEST(test_merge),
        TEST(test_concurrent_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
