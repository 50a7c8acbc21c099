/* The limit of connections that all threads share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>

#include "proxy/worker/core/places.h"

struct one_thread {
    struct places places;
    int emptied;
};

static void note_emptied(struct places *places)
{
    list_entry(places, struct one_thread, places)->emptied++;
}

static void test_limit_of_all_threads(void **state)
{
    (void)state;
    struct connection_limit limit = {.most = 3};
    struct loop loop;
    struct one_thread a = {.emptied = 0}, b = {.emptied = 0};
    assert_true(loop_open(&loop));
    places_init(&a.places, &limit, &loop, note_emptied);
    places_init(&b.places, &limit, &loop, note_emptied);

    assert_true(places_take(&a.places));
    assert_true(places_take(&a.places));
    assert_true(places_take(&b.places));
    assert_false(places_take(&a.places));
    assert_false(places_take(&b.places));
    assert_int_equal(a.places.count, 2);
    assert_int_equal(b.places.count, 1);
    assert_int_equal(limit.taken, 3); /* refusals take nothing */

    places_give(&a.places);
    assert_int_equal(a.emptied, 0);
    assert_true(places_take(&b.places));
    assert_false(places_take(&a.places));
    places_give(&a.places);
    assert_int_equal(a.emptied, 1); /* it does not matter what other threads have */
    places_give(&b.places);
    places_give(&b.places);
    assert_int_equal(b.emptied, 1);
    assert_int_equal(limit.taken, 0);
    loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_of_all_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
