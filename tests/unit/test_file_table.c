/* The list of open files that one process passes to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/file_table.h"

static int list_of(const char *bytes, size_t length)
{
    int list = descriptor_of_bytes("list", bytes, length);
    assert_true(list >= 0);
    return list;
}

static void what_is_put_is_received(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    int file = open("/dev/null", O_RDONLY);
    FILE *out = open_memstream(&text, &length);
    file_table_put(out, "/a b\nc", file);
    file_table_put(out, "", -EACCES);
    assert_int_equal(fclose(out), 0);
    struct file_table table = FILE_TABLE_INIT;
    int list = list_of(text, length);
    free(text);
    assert_true(file_table_receive(&table, list));
    assert_int_equal(fcntl(list, F_GETFD), -1);
    assert_int_equal(table.count, 2);
    assert_int_equal(file_table_find(&table, "/a b\nc"), file);
    assert_int_not_equal(fcntl(file, F_GETFD) & FD_CLOEXEC, 0);
    assert_int_equal(file_table_find(&table, ""), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(file_table_find(&table, "/etc/passwd"), -1);
    assert_int_equal(errno, ENOENT);
    file_table_close(&table);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    file_table_close(&table);
}

static void an_empty_list(void **state)
{
    (void)state;
    struct file_table table = FILE_TABLE_INIT;
    assert_true(file_table_receive(&table, list_of("", 0)));
    assert_int_equal(table.count, 0);
}

static void no_lists(void **state)
{
    (void)state;
    static const char *const items[] = {"",
                                        "3",
                                        "x /a",
                                        "3x /a",
                                        "1000000 /a",
                                        "0 /a",
                                        "2 /a",
                                        "99999999999 /a",
                                        "99999999999999999999 /a"};
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        struct file_table table = FILE_TABLE_INIT;
        int list = list_of(items[i], strlen(items[i]) + 1);
        assert_false(file_table_receive(&table, list));
        assert_int_equal(errno, EPROTO);
        assert_int_equal(table.count, 0);
        assert_int_equal(fcntl(list, F_GETFD), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_received),
        cmocka_unit_test(an_empty_list),
        cmocka_unit_test(no_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
