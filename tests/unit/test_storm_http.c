/* When an HTTP/1.1 reply is complete: every kind of framing, at once and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "storm/http.h"

static const struct {
    const char *text;
    enum http_state state;
    unsigned status;
    bool close, whole_at_end;
} replies[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", HTTP_DONE, 200, false, true},
    {"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhell", HTTP_BODY, 200, false, false},
    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", HTTP_DONE, 200, false, true},
    {"HTTP/1.0 200 OK\r\n\r\nall until the end", HTTP_BODY_TO_END, 200, true, true},
    {"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", HTTP_DONE, 404,
     true, true},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", HTTP_DONE, 304, false, true},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HTTP_DONE, 200,
     false, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n"
     "0\r\nTrailer: x\r\n\r\n",
     HTTP_DONE, 200, false, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", HTTP_TRAILER, 200,
     false, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HTTP_BAD, 200, false, false},
    {"HTTP/1.1 999 Strange\r\n", HTTP_BAD, 999, false, false},
    {"SSH-2.0-OpenSSH\r\n", HTTP_BAD, 0, false, false},
};

static void read_in_steps(size_t step)
{
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct http_reply reply = {0};
        const char *text = replies[i].text;
        for (size_t at = 0, length = strlen(text); at < length; at += step)
            http_reply_read(&reply, text + at, length - at < step ? length - at : step);
        assert_int_equal(reply.state, replies[i].state);
        assert_int_equal(reply.status, replies[i].status);
        assert_int_equal(reply.close, replies[i].close);
        assert_int_equal(http_reply_end(&reply), replies[i].whole_at_end);
    }
}

static void test_whole(void **state)
{
    (void)state;
    read_in_steps(SIZE_MAX);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    read_in_steps(1);
}

static void test_long_line(void **state)
{
    (void)state;
    char line[4096];
    struct http_reply reply = {0};
    memset(line, 'x', sizeof line);
    http_reply_read(&reply, "HTTP/1.1 200 OK\r\nX: ", 20);
    for (int i = 0; i < 100; i++)
        http_reply_read(&reply, line, sizeof line);
    assert_int_equal(http_reply_read(&reply, "\r\nContent-Length: 1\r\n\r\ny", 24), HTTP_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
