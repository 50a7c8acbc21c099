/* The answers of the control socket, as the operator's tool reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/escape.h"
#include "operator/json_read.h"

static void values(void **state)
{
    (void)state;
    char line[] =
        "{\"a\": \"x\\\"\\\\\\u000ay\\u00e4\", \"n\" :-12 , \"t\":true,\"f\": false, \"z\": "
        "null, \"l\": [\"one\", \"\",\"t\\\"o\"], \"e\": []}\n";
    struct json_object object;
    assert_true(json_read(&object, line));
    assert_int_equal(object.count, 7);
    assert_string_equal(json_read_text(&object, "a"), "x\"\\\ny\xc3\xa4");
    assert_int_equal(json_read_number(&object, "n", 5), -12);
    assert_true(json_read_bool(&object, "t", false));
    assert_false(json_read_bool(&object, "f", true));
    assert_true(json_read_bool(&object, "z", true));
    assert_null(json_read_text(&object, "n"));
    assert_null(json_read_text(&object, "absent"));
    assert_int_equal(json_read_number(&object, "a", 5), 5);
    const struct json_member *list = json_read_list(&object, "l");
    assert_int_equal(list->item_count, 3);
    assert_memory_equal(list->text, "one\0\0t\"o", 9);
    assert_int_equal(json_read_list(&object, "e")->item_count, 0);
    assert_null(json_read_list(&object, "a"));
}

static void bad(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "x",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\": \"",
        "{\"a\": \"\\",
        "{\"a\": \"\\u12",
        "{\"a\": 1,}",
        "{\"a\": 1} x",
        "[\"a\"]",
        "{\"a\": tru}",
        "{\"a\": [1]}",
        "{\"a\": [\"b\"",
        "{\"a\": [\"b\",]}",
        "{\"a\": \"\\x\"}",
        "{\"a\": {}}",
        "{a: 1}",
        "{\"a\": \"\\u0000\"}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct json_object object;
        char *line = strdup(lines[i]);
        assert_false(json_read(&object, line));
        free(line);
    }
}

static void too_many_members(void **state)
{
    (void)state;
    char line[JSON_MEMBERS_MAX * 8 + 16] = "{\"a\": 1";
    struct json_object object;
    for (int i = 1; i < JSON_MEMBERS_MAX; i++)
        strcat(line, ",\"b\":1");
    char *copy = strdup(line);
    assert_true(json_read(&object, strcat(line, "}")));
    free(copy);
    line[strlen(line) - 1] = '\0';
    assert_false(json_read(&object, strcat(line, ",\"c\":1}")));
}

/* Every text that the proxy writes is read back. */
static void every_byte(void **state)
{
    (void)state;
    for (int byte = 1; byte < 0x80; byte++) {
        char *line = NULL;
        size_t length;
        const char text[] = {(char)byte, 'x', (char)byte, '\0'};
        struct json_object object;
        FILE *out = open_memstream(&line, &length);
        fputs("{\"t\": \"", out);
        escape_write(out, ESCAPE_JSON, text);
        fputs("\"}", out);
        fclose(out);
        assert_true(json_read(&object, line));
        assert_string_equal(json_read_text(&object, "t"), text);
        free(line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(bad),
                                       cmocka_unit_test(too_many_members),
                                       cmocka_unit_test(every_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
