/* What immure top computes from two snapshots of the figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "operator/rates.h"

#define SECOND NS_PER_S

static struct figures reading(uint64_t at, uint64_t signatures, uint64_t batches, uint64_t queued)
{
    return (struct figures){.at = at,
                            .count = 3,
                            .list = {{"signatures_total", "", true, signatures},
                                     {"batches_total", "", true, batches},
                                     {"queued", "", false, queued}}};
}

static const struct column *column(const char *name)
{
    for (size_t i = 0; i < column_count; i++)
        if (strcmp(columns[i].name, name) == 0)
            return &columns[i];
    fail_msg("there is no column %s", name);
    return NULL;
}

static void test_rates_are_of_the_time_between(void **state)
{
    (void)state;
    struct figures before = reading(5 * SECOND, 100, 10, 1), now = reading(7 * SECOND, 400, 60, 9);
    assert_float_equal((float)figures_rate(&now, &before, "signatures_total"), 150, 1e-6f);
    assert_float_equal((float)column_value(column("signatures_per_second"), &now, &before), 150,
                       1e-6f);
    assert_float_equal((float)column_value(column("signatures_per_batch"), &now, &before), 6,
                       1e-6f);
    assert_float_equal((float)column_value(column("waiting"), &now, &before), 9, 1e-6f);
}

static void test_a_new_immured_counts_from_zero(void **state)
{
    (void)state;
    struct figures before = reading(5 * SECOND, 1000, 10, 0), now = reading(6 * SECOND, 30, 3, 0);
    assert_float_equal((float)figures_rate(&now, &before, "signatures_total"), 30, 1e-6f);
}

static void test_what_is_not_there_is_no_number(void **state)
{
    (void)state;
    struct figures before = reading(5 * SECOND, 100, 10, 0), now = reading(6 * SECOND, 200, 10, 0);
    assert_true(isnan(figures_rate(&now, &before, "from_the_future_total")));
    assert_true(isnan(figures_rate(&now, &now, "signatures_total")));
    assert_true(isnan(column_value(column("lanes_per_batch"), &now, &before)));
    assert_true(isnan(column_value(column("oldest_milliseconds"), &now, &before)));
    /* no batch, so nothing in each of them */
    assert_true(isnan(column_value(column("signatures_per_batch"), &now, &before)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_are_of_the_time_between),
        cmocka_unit_test(test_a_new_immured_counts_from_zero),
        cmocka_unit_test(test_what_is_not_there_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
