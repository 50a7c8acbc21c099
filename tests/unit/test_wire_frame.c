/*
 * Which frames a decoder accepts, and which it refuses before it has seen the payload. Whether the
 * rows that it uses are correct is tested by test_wire_names.c, which compares them with the
 * document.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "wire_fixture.h"

static enum immure_error decode_header(enum wire_end reads, unsigned type, unsigned flags,
                                       size_t length)
{
    uint8_t header[WIRE_HEADER_SIZE];
    struct writer writer = writer_of(header, sizeof header);
    struct wire_frame frame;
    bool more;
    write_u8(&writer, (uint8_t)type);
    write_u8(&writer, (uint8_t)flags);
    write_u16(&writer, (uint16_t)length);
    write_u64(&writer, 1);
    wire_decoder_reset(&decoder);
    decoder.reads = reads;
    decoder.greeted = true;
    decoder.version = WIRE_VERSION;
    return decode(header, sizeof header, sizeof header, &frame, &more);
}

static void test_every_length_of_every_type(void **state)
{
    (void)state;
    decoder_begin(WIRE_CLIENT);
    for (size_t i = 0; i < wire_frame_type_count; i++) {
        const struct wire_frame_type *row = &wire_frame_types[i];
        for (size_t length = 0; length < 0x10000; length++) {
            bool right = length >= row->shortest && length <= row->longest;
            enum immure_error error = decode_header(row->sender, row->type, 0, length);
            assert_int_equal(error, right ? IMMURE_OK : IMMURE_E_FRAME_SIZE);
        }
        enum wire_end other = row->sender == WIRE_CLIENT ? WIRE_SERVER : WIRE_CLIENT;
        assert_int_equal(decode_header(other, row->type, 0, row->shortest), IMMURE_E_FRAME_TYPE);
        assert_int_equal(decode_header(row->sender, row->type, 1, row->shortest),
                         IMMURE_E_FRAME_TYPE);
    }
}

/* A frame that no decoder would accept is not written either. */
static void test_every_length_that_is_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < wire_frame_type_count; i++) {
        const struct wire_frame_type *row = &wire_frame_types[i];
        struct buffer output = BUFFER;
        for (size_t length = 0; length < 0x10100; length++) {
            bool right = length >= row->shortest && length <= row->longest;
            assert_int_equal(wire_frame_begin(&output, row->type, 1, length) != NULL, right);
            buffer_clear(&output);
        }
        buffer_release(&output);
    }
}

static void test_unknown_types(void **state)
{
    (void)state;
    decoder_begin(WIRE_CLIENT);
    for (unsigned type = 0; type < 256; type++) {
        if (wire_frame_type_find(type) == NULL) {
            assert_int_equal(decode_header(WIRE_CLIENT, type, 0, 0), IMMURE_E_FRAME_TYPE);
            assert_int_equal(decode_header(WIRE_SERVER, type, 0, 0), IMMURE_E_FRAME_TYPE);
        }
    }
}

/* A frame of a later version than the agreed one has another error than an unknown frame. */
static void test_frames_of_later_versions(void **state)
{
    (void)state;
    struct wire_frame frame;
    bool more;
    bool later = false;
    for (uint16_t version = WIRE_VERSION_LOWEST; version <= WIRE_VERSION; version++)
        for (size_t i = 0; i < wire_frame_type_count; i++) {
            const struct wire_frame_type *row = &wire_frame_types[i];
            const uint8_t header[WIRE_HEADER_SIZE] = {
                (uint8_t)row->type, 0, (uint8_t)(row->shortest >> 8), (uint8_t)row->shortest};
            enum immure_error wanted = row->since > version ? IMMURE_E_FRAME_VERSION : IMMURE_OK;
            if (row->type == WIRE_HELLO || row->type == WIRE_WELCOME)
                continue; /* greeted already */
            decoder_begin(row->sender);
            decoder.version = version;
            assert_int_equal(decode(header, sizeof header, SIZE_MAX, &frame, &more), wanted);
            later = later || wanted != IMMURE_OK;
        }
    assert_true(later);
    wire_decoder_release(&decoder);
    wire_decoder_init(&decoder, WIRE_CLIENT); /* before the greeting there is only one error */
    assert_int_equal(
        decode("\x08\0\0\0\0\0\0\0\0\0\0\1", WIRE_HEADER_SIZE, SIZE_MAX, &frame, &more),
        IMMURE_E_MAGIC);
}

static void test_versions_in_common(void **state)
{
    (void)state;
    static const struct {
        struct wire_hello client;
        uint16_t version;
    } cases[] = {
        {{WIRE_VERSION, WIRE_VERSION}, WIRE_VERSION},
        {{WIRE_VERSION_LOWEST, WIRE_VERSION_LOWEST}, WIRE_VERSION_LOWEST},
        {{0, UINT16_MAX}, WIRE_VERSION},
        {{WIRE_VERSION, WIRE_VERSION + 1}, WIRE_VERSION},
        {{0, WIRE_VERSION - 1}, WIRE_VERSION - 1},
        {{WIRE_VERSION + 1, WIRE_VERSION + 1}, 0},
        {{0, WIRE_VERSION_LOWEST - 1}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(wire_version_agree(&cases[i].client), cases[i].version);
}

static void test_greeting_comes_first_and_once(void **state)
{
    (void)state;
    struct buffer output = BUFFER;
    struct wire_frame frame;
    bool more;
    assert_true(wire_put_plain(&output, WIRE_PING, 1, NULL, 0));
    decoder_begin(WIRE_CLIENT);
    decoder.greeted = false;
    assert_int_equal(decode(buffer_bytes(&output), buffer_length(&output), SIZE_MAX, &frame, &more),
                     IMMURE_E_MAGIC);

    decoder_begin(WIRE_CLIENT);
    decoder.greeted = false;
    assert_int_equal(decode("GET / HTTP/1.1\r\n\r\n", 18, SIZE_MAX, &frame, &more), IMMURE_E_MAGIC);

    buffer_clear(&output);
    assert_true(wire_put_hello(&output, &(struct wire_hello){.lowest = 1, .highest = 1}));
    decoder_begin(WIRE_CLIENT);
    assert_int_equal(decode(buffer_bytes(&output), buffer_length(&output), SIZE_MAX, &frame, &more),
                     IMMURE_E_FRAME_TYPE);

    uint8_t *magic = (uint8_t *)buffer_bytes(&output) + WIRE_HEADER_SIZE;
    magic[0] ^= 1;
    decoder_begin(WIRE_CLIENT);
    decoder.greeted = false;
    assert_int_equal(decode(buffer_bytes(&output), buffer_length(&output), SIZE_MAX, &frame, &more),
                     IMMURE_E_MAGIC);
    buffer_release(&output);
}

static void test_several_frames_in_one_read(void **state)
{
    (void)state;
    struct buffer output = BUFFER;
    struct wire_frame frame;
    bool more;
    for (uint64_t id = 1; id <= 100; id++)
        assert_true(wire_put_plain(&output, WIRE_PONG, id, some, (size_t)id % WIRE_PING_MAX));
    decoder_begin(WIRE_SERVER);
    size_t size;
    uint8_t *room = wire_decoder_room(&decoder, &size);
    size_t length = buffer_length(&output);
    assert_true(length <= size);
    memcpy(room, buffer_bytes(&output), length);
    wire_decoder_received(&decoder, length);
    for (uint64_t id = 1; id <= 100; id++) {
        assert_int_equal(wire_decoder_next(&decoder, &frame, &more), IMMURE_OK);
        assert_false(more);
        assert_int_equal(frame.id, id);
    }
    assert_int_equal(wire_decoder_next(&decoder, &frame, &more), IMMURE_OK);
    assert_true(more);
    buffer_release(&output);
}

int main(void)
{
    some_fill();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_length_of_every_type),
        cmocka_unit_test(test_every_length_that_is_written),
        cmocka_unit_test(test_unknown_types),
        cmocka_unit_test(test_frames_of_later_versions),
        cmocka_unit_test(test_versions_in_common),
        cmocka_unit_test(test_greeting_comes_first_and_once),
        cmocka_unit_test(test_several_frames_in_one_read),
    };
    return cmocka_run_group_tests(tests, NULL, decoder_end);
}
