/* The table of requests in flight finds each by its session and id, whatever ids a client chooses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keyd/sign/in_flight.h"

#define JOBS 4096

static size_t longest_chain(const struct in_flight *table)
{
    size_t longest = 0;
    for (size_t i = 0; i < IN_FLIGHT_BUCKETS; i++) {
        size_t length = 0;
        for (const struct job *job = table->buckets[i]; job != NULL; job = job->in_flight_next)
            length++;
        longest = length > longest ? length : longest;
    }
    return longest;
}

static void each_is_found(void **state)
{
    (void)state;
    struct in_flight table;
    static struct job jobs[JOBS];
    assert_true(in_flight_init(&table));
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){.id = 1 + i / 2};
        in_flight_add(&table, &jobs[i], i % 2);
    }
    for (size_t i = 0; i < JOBS; i++)
        assert_ptr_equal(in_flight_find(&table, i % 2, 1 + i / 2), &jobs[i]);
    assert_null(in_flight_find(&table, 2, 1));
    assert_null(in_flight_find(&table, 0, JOBS));
    for (size_t i = 0; i < JOBS; i += 2)
        in_flight_remove(&table, &jobs[i], 0);
    for (size_t i = 0; i < JOBS; i++)
        assert_ptr_equal(in_flight_find(&table, i % 2, 1 + i / 2), i % 2 == 0 ? NULL : &jobs[i]);
    in_flight_release(&table);
}

/* Ids that differ in one byte only, in few bits, or by a multiple of any size of a table. */
static void chosen_ids_do_not_meet(void **state)
{
    (void)state;
    static const uint64_t steps[] = {
        1, 64, 256, 65536, UINT64_C(1) << 32, UINT64_C(1) << 52, UINT64_C(0x0001000100010001)};
    for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++) {
        struct in_flight table;
        static struct job jobs[JOBS];
        assert_true(in_flight_init(&table));
        for (size_t i = 0; i < JOBS; i++) {
            jobs[i] = (struct job){.id = 1 + i * steps[step]};
            in_flight_add(&table, &jobs[i], 5);
        }
        assert_in_range(longest_chain(&table), 1, 8);
        in_flight_release(&table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_found),
        cmocka_unit_test(chosen_ids_do_not_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
