/* Comments become blanks; everything else, and every newline, stays where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "conf/text.h"
#include "file_fixture.h"

static void comments_become_blanks(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"a = 1\n", "a = 1\n"},
        {"# c\na = 1", "   \na = 1"},
        {"a = 1 # c\nb", "a = 1    \nb"},
        {"// c", "    "},
        {"a = /* c\n c */ 1", "a =     \n      1"},
        {"a = \"# no\" # c", "a = \"# no\"    "},
        {"a = '// no' // c", "a = '// no'     "},
        {"a = \"\\\"# no\" # c", "a = \"\\\"# no\"    "},
        {"a = http://no/#no", "a = http://no/#no"},
        {"a = {1, # c\n2}", "a = {1,    \n2}"},
        {"s {# c\n}//c", "s {   \n}   "},
        {"a = /* no end", "a = /* no end"},
        {"a = \"no end # c", "a = \"no end # c"},
        {"a = \"\\", "a = \"\\"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        file_write(cases[i][0], strlen(cases[i][0]));
        char *text = conf_text_read(file);
        assert_non_null(text);
        assert_string_equal(text, cases[i][1]);
        free(text);
    }
}

static void long_files_are_read_whole(void **state)
{
    (void)state;
    static char long_text[100000];
    for (size_t length = 4090; length < sizeof long_text; length = length * 3 / 2) {
        memset(long_text, 'x', length);
        file_write(long_text, length);
        char *text = conf_text_read(file);
        assert_non_null(text);
        assert_int_equal(strlen(text), length);
        free(text);
    }
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    assert_null(conf_text_read("/nonexistent"));
    assert_int_equal(errno, ENOENT);
    assert_null(conf_text_read("/tmp"));
    assert_int_equal(errno, EISDIR);
    file_write("a\0b", 3);
    assert_null(conf_text_read(file));
    assert_int_equal(errno, EINVAL);
    assert_null(conf_text_read("/dev/zero"));
    assert_int_equal(errno, EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_become_blanks),
        cmocka_unit_test(long_files_are_read_whole),
        cmocka_unit_test(what_is_no_text_is_refused),
    };
    return cmocka_run_group_tests(tests, file_make, file_remove);
}
