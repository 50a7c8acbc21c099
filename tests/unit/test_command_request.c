/* The request line of the control socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/master/command_request.h"

/* Parses a copy that ends where the memory ends, so that a sanitizer sees what reads beyond. */
static const char *parse(struct command_request *request, const char *bytes, size_t length,
                         char **line)
{
    *line = malloc(length + 1);
    memcpy(*line, bytes, length);
    return command_request_parse(request, *line, length);
}

static void good(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *words[COMMAND_WORDS_MAX];
    } rows[] = {
        {"list", {"list"}},
        {"list\r", {"list"}},
        {"  list   a ", {"list", "a"}},
        {"show *.example.com", {"show", "*.example.com"}},
        {"show a%20b%25%c3%A4", {"show", "a b%\xc3\xa4"}},
        {"show \xc3\xa4", {"show", "\xc3\xa4"}},
        {"%6cist", {"list"}},
        {"a %0A%01 c d", {"a", "\n\x01", "c", "d"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct command_request request;
        char *line;
        size_t count = 0;
        assert_null(parse(&request, rows[i].line, strlen(rows[i].line), &line));
        while (count < COMMAND_WORDS_MAX && rows[i].words[count] != NULL) {
            assert_true(count < request.count);
            assert_string_equal(request.words[count], rows[i].words[count]);
            count++;
        }
        assert_int_equal(request.count, count);
        free(line);
    }
}

static void bad(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *says;
    } rows[] = {
        {"", 0, "empty"},
        {"\r", 1, "empty"},
        {"   ", 3, "empty"},
        {"a b c d e", 9, "too many words"},
        {"list\0", 5, "not printable"},
        {"li\tst", 5, "not printable"},
        {"li\rst", 5, "not printable"},
        {"\x7f", 1, "not printable"},
        {"list %", 6, "hexadecimal"},
        {"list %2", 7, "hexadecimal"},
        {"list %2g", 8, "hexadecimal"},
        {"list %2 0", 9, "hexadecimal"},
        {"list %00", 8, "hexadecimal"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct command_request request;
        char *line;
        const char *wrong = parse(&request, rows[i].bytes, rows[i].length, &line);
        assert_non_null(wrong);
        assert_non_null(strstr(wrong, rows[i].says));
        free(line);
    }
}

/* Whatever the bytes are, all words lie within the line. */
static void any_bytes(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 200000; round++) {
        char bytes[24];
        struct command_request request;
        size_t length = (seed >> 8) % sizeof bytes;
        for (size_t i = 0; i < length; i++) {
            static const char likely[] = "%0aF \r\x01z";
            seed = seed * 1103515245 + 12345;
            bytes[i] = (seed >> 16 & 7) != 0 ? likely[(seed >> 20) % (sizeof likely - 1)]
                                             : (char)(seed >> 24);
        }
        seed = seed * 1103515245 + 12345;
        char *line;
        if (parse(&request, bytes, length, &line) == NULL)
            for (size_t i = 0; i < request.count; i++)
                assert_true(request.words[i] >= line &&
                            request.words[i] + strlen(request.words[i]) <= line + length);
        free(line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad),
                                       cmocka_unit_test(any_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
