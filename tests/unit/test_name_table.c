/* Names without repetition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/name_table.h"

#define COUNT 20000

static void each_name_once_and_in_order(void **state)
{
    (void)state;
    char name[32];
    struct name_table table = NAME_TABLE_INIT;
    size_t index;
    assert_false(name_table_find(&table, "0", &index));
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT; i++) {
            snprintf(name, sizeof name, "/etc/keys/%zu", i);
            assert_true(name_table_add(&table, name, &index));
            assert_int_equal(index, i);
        }
    assert_int_equal(table.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "/etc/keys/%zu", i);
        assert_string_equal(table.names[i], name);
        assert_true(name_table_find(&table, name, &index));
        assert_int_equal(index, i);
        name[5] = 'x';
        assert_false(name_table_find(&table, name, &index));
    }
    assert_true(name_table_add(&table, "", NULL));
    assert_true(name_table_find(&table, "", &index));
    assert_int_equal(index, COUNT);
    name_table_free(&table);
    name_table_free(&table);
    assert_int_equal(table.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_name_once_and_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
