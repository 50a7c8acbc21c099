/* Lines that others can cause as often as they like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

#define NOW (5 * NS_PER_S)

static void test_first_line_is_due(void **state)
{
    (void)state;
    uint64_t last = 0;
    assert_true(log_due(&last, NOW));
    assert_int_equal(last, NOW);
}

static void test_one_line_a_second(void **state)
{
    (void)state;
    uint64_t last = NOW;
    assert_false(log_due(&last, NOW));
    assert_false(log_due(&last, NOW + NS_PER_S - 1));
    assert_int_equal(last, NOW); /* a line that is left out does not put off the next */
    assert_true(log_due(&last, NOW + NS_PER_S));
    assert_false(log_due(&last, NOW + NS_PER_S + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_line_is_due),
        cmocka_unit_test(test_one_line_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
