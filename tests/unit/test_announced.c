/* The limit for handshake messages that a client announces, however the stream is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "proxy/worker/transport/announced.h"

enum { CHANGE_CIPHER_SPEC = 20, HANDSHAKE = 22, CLIENT_HELLO = 1 };

struct stream {
    uint8_t bytes[4 * ANNOUNCED_MAX];
    size_t length;
};

/* A record of `length` zeros with these bytes in front. */
static void add_record(struct stream *stream, uint8_t type, const void *front, size_t front_length,
                       size_t length)
{
    const uint8_t header[] = {type, 3, 1, (uint8_t)((front_length + length) >> 8),
                              (uint8_t)(front_length + length)};
    memcpy(stream->bytes + stream->length, header, sizeof header);
    memcpy(stream->bytes + stream->length + sizeof header, front, front_length);
    stream->length += sizeof header + front_length + length;
}

/* The first `had` bytes of a ClientHello of this length, in one record. */
static void add_hello(struct stream *stream, size_t length, size_t had)
{
    const uint8_t header[] = {CLIENT_HELLO, (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                              (uint8_t)length};
    add_record(stream, HANDSHAKE, header, sizeof header, had);
}

static bool taken(const struct stream *stream, size_t piece)
{
    struct announced announced = {.record_left = 0};
    for (size_t at = 0; at < stream->length; at += piece) {
        size_t left = stream->length - at;
        if (!announced_take(&announced, stream->bytes + at, left < piece ? left : piece))
            return false;
    }
    return true;
}

static void assert_taken(const struct stream *stream, bool expected)
{
    const size_t pieces[] = {1, 2, 5, 9, 4096, sizeof stream->bytes};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        assert_int_equal(taken(stream, pieces[i]), expected);
}

static void test_length(void **state)
{
    (void)state;
    const struct {
        size_t length;
        bool good;
    } rows[] = {
        {0, true},       {500, true},      {ANNOUNCED_MAX, true}, {ANNOUNCED_MAX + 1, false},
        {131396, false}, {0xffffff, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stream stream = {.length = 0};
        add_hello(&stream, rows[i].length, 0);
        assert_taken(&stream, rows[i].good);
    }
}

/* The four bytes of the message header are in four records. */
static void test_header_in_pieces(void **state)
{
    (void)state;
    struct stream stream = {.length = 0};
    const uint8_t header[] = {CLIENT_HELLO, 1, 0, 0};
    for (size_t i = 0; i < sizeof header; i++)
        add_record(&stream, HANDSHAKE, &header[i], 1, 0);
    assert_taken(&stream, false);
}

/* Two ClientHellos, as with a HelloRetryRequest. The record between them is not of a handshake. */
static void test_second_hello(void **state)
{
    (void)state;
    for (int good = 0; good < 2; good++) {
        struct stream stream = {.length = 0};
        add_hello(&stream, 1000, 400);
        add_record(&stream, HANDSHAKE, "", 0, 600);
        add_record(&stream, CHANGE_CIPHER_SPEC, "\x01\xff\xff\xff", 4, 0);
        add_hello(&stream, good ? 2000 : 100000, good ? 2000 : 0);
        assert_taken(&stream, good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_header_in_pieces),
        cmocka_unit_test(test_second_hello),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
