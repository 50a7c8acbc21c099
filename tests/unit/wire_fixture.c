#include "wire_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

uint8_t some[WIRE_MESSAGE_MAX];
struct wire_decoder decoder;

void some_fill(void)
{
    for (size_t i = 0; i < sizeof some; i++)
        some[i] = (uint8_t)(i * 131 + i / 251);
}

void decoder_begin(enum wire_end reads)
{
    wire_decoder_release(&decoder);
    wire_decoder_init(&decoder, reads);
    decoder.greeted = true;
    decoder.version = WIRE_VERSION;
}

int decoder_end(void **state)
{
    (void)state;
    wire_decoder_release(&decoder);
    return 0;
}

enum immure_error decode(const void *data, size_t length, size_t chunk, struct wire_frame *frame,
                         bool *more)
{
    const uint8_t *bytes = data;
    enum immure_error error = IMMURE_OK;
    *more = true;
    while (error == IMMURE_OK && *more && length > 0) {
        size_t size;
        uint8_t *room = wire_decoder_room(&decoder, &size);
        assert_non_null(room);
        assert_true(size >= WIRE_HEADER_SIZE);
        size = size < chunk ? size : chunk;
        size = size < length ? size : length;
        memcpy(room, bytes, size);
        wire_decoder_received(&decoder, size);
        bytes += size;
        length -= size;
        error = wire_decoder_next(&decoder, frame, more);
    }
    if (error == IMMURE_OK && !*more)
        assert_int_equal(length, 0);
    return error;
}

struct wire_frame through(struct buffer *output, enum wire_end reads)
{
    struct wire_frame frame = {0};
    bool more;
    size_t length = buffer_length(output);
    decoder_begin(reads);
    decoder.greeted =
        buffer_bytes(output)[0] != WIRE_HELLO && buffer_bytes(output)[0] != WIRE_WELCOME;
    bool greeted = decoder.greeted;
    for (size_t chunk = 1; chunk <= length; chunk += length < 2000 ? 1 : 997) {
        decoder.greeted = greeted;
        assert_int_equal(decode(buffer_bytes(output), length, chunk, &frame, &more), IMMURE_OK);
        assert_false(more);
        assert_int_equal(frame.length, length - WIRE_HEADER_SIZE);
        assert_memory_equal(frame.payload, buffer_bytes(output) + WIRE_HEADER_SIZE, frame.length);
    }
    return frame;
}
