/* Every message: what one end writes, the other reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "immure/scheme.h"
#include "wire/stats.h"
#include "wire_fixture.h"

static void test_hello_and_welcome(void **state)
{
    (void)state;
    struct buffer output = BUFFER;
    struct wire_hello hello = {.lowest = 1, .highest = 7}, got;
    assert_true(wire_put_hello(&output, &hello));
    struct wire_frame frame = through(&output, WIRE_CLIENT);
    assert_int_equal(frame.type, WIRE_HELLO);
    assert_int_equal(wire_get_hello(&frame, &got), IMMURE_OK);
    assert_int_equal(got.lowest, 1);
    assert_int_equal(got.highest, 7);
    buffer_clear(&output);

    struct wire_welcome welcome = {.version = 1, .in_flight = 4096, .started = 0x12345678}, told;
    assert_true(wire_put_welcome(&output, &welcome));
    frame = through(&output, WIRE_SERVER);
    assert_int_equal(wire_get_welcome(&frame, &told), IMMURE_OK);
    assert_int_equal(told.version, 1);
    assert_int_equal(told.in_flight, 4096);
    assert_int_equal(told.started, 0x12345678);
    buffer_release(&output);
}

static void test_sign(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 130, 146, WIRE_MESSAGE_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct buffer output = BUFFER;
        struct wire_request sign = {.type = WIRE_SIGN,
                                    .id = UINT64_MAX - 1,
                                    .key_id = some + 7,
                                    .scheme = IMMURE_ED25519,
                                    .time_left = 0xfffffffe,
                                    .input = some,
                                    .input_length = lengths[i]},
                            got;
        assert_true(wire_put_request(&output, &sign));
        struct wire_frame frame = through(&output, WIRE_CLIENT);
        assert_true(frame.id == UINT64_MAX - 1);
        assert_int_equal(wire_get_request(&frame, &got), IMMURE_OK);
        assert_memory_equal(got.key_id, some + 7, WIRE_KEY_ID_SIZE);
        assert_int_equal(got.scheme, IMMURE_ED25519);
        assert_int_equal(got.time_left, 0xfffffffe);
        assert_int_equal(got.input_length, lengths[i]);
        assert_memory_equal(got.input, some, lengths[i]);
        buffer_release(&output);
    }
}

static void test_signed(void **state)
{
    (void)state;
    struct buffer output = BUFFER;
    struct wire_signed answer = {.backend = WIRE_BACKEND_OPENSSL,
                                 .queue_ns = 1,
                                 .sign_ns = UINT64_MAX,
                                 .signature = some,
                                 .signature_length = WIRE_SIGNATURE_MAX},
                       got;
    assert_true(wire_put_signed(&output, 5, &answer));
    struct wire_frame frame = through(&output, WIRE_SERVER);
    assert_int_equal(wire_get_signed(&frame, &got), IMMURE_OK);
    assert_int_equal(got.backend, WIRE_BACKEND_OPENSSL);
    assert_int_equal(got.queue_ns, 1);
    assert_true(got.sign_ns == UINT64_MAX);
    assert_int_equal(got.signature_length, WIRE_SIGNATURE_MAX);
    assert_memory_equal(got.signature, some, WIRE_SIGNATURE_MAX);
    buffer_release(&output);
}

static void test_decrypt(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 256, WIRE_CIPHERTEXT_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct buffer output = BUFFER;
        struct wire_request decrypt = {.type = WIRE_DECRYPT,
                                       .id = 8,
                                       .key_id = some + 7,
                                       .client_version = 0x0303,
                                       .time_left = 12345678,
                                       .input = some,
                                       .input_length = lengths[i]},
                            got;
        assert_true(wire_put_request(&output, &decrypt));
        struct wire_frame frame = through(&output, WIRE_CLIENT);
        assert_int_equal(wire_get_request(&frame, &got), IMMURE_OK);
        assert_memory_equal(got.key_id, some + 7, WIRE_KEY_ID_SIZE);
        assert_int_equal(got.client_version, 0x0303);
        assert_int_equal(got.time_left, 12345678);
        assert_int_equal(got.input_length, lengths[i]);
        assert_memory_equal(got.input, some, lengths[i]);
        decrypt.input_length = WIRE_CIPHERTEXT_MAX + 1;
        assert_false(wire_put_request(&output, &decrypt));
        buffer_release(&output);
    }
}

static void test_decrypted(void **state)
{
    (void)state;
    struct buffer output = BUFFER;
    struct wire_decrypted answer = {.backend = WIRE_BACKEND_OPENSSL,
                                    .queue_ns = 1,
                                    .decrypt_ns = UINT64_MAX,
                                    .premaster = some},
                          got;
    assert_true(wire_put_decrypted(&output, 5, &answer));
    struct wire_frame frame = through(&output, WIRE_SERVER);
    assert_int_equal(wire_get_decrypted(&frame, &got), IMMURE_OK);
    assert_int_equal(got.backend, WIRE_BACKEND_OPENSSL);
    assert_int_equal(got.queue_ns, 1);
    assert_true(got.decrypt_ns == UINT64_MAX);
    assert_memory_equal(got.premaster, some, WIRE_PREMASTER_SIZE);
    buffer_release(&output);
}

static void test_error(void **state)
{
    (void)state;
    struct buffer output = BUFFER;
    struct wire_error said = {.error = IMMURE_E_POLICY, .text = "no", .text_length = 2}, got;
    assert_true(wire_put_error(&output, 9, &said));
    struct wire_frame frame = through(&output, WIRE_SERVER);
    assert_int_equal(wire_get_error(&frame, &got), IMMURE_OK);
    assert_int_equal(got.error, IMMURE_E_POLICY);
    assert_int_equal(got.text_length, 2);
    assert_memory_equal(got.text, "no", 2);

    /* A text that is too long is cut. IMMURE_OK as an error is malformed. */
    buffer_clear(&output);
    said.text = (const char *)some;
    said.text_length = WIRE_ERROR_TEXT_MAX + 1;
    assert_true(wire_put_error(&output, 9, &said));
    frame = through(&output, WIRE_SERVER);
    assert_int_equal(wire_get_error(&frame, &got), IMMURE_OK);
    assert_int_equal(got.text_length, WIRE_ERROR_TEXT_MAX);
    buffer_clear(&output);
    said.error = IMMURE_OK;
    assert_true(wire_put_error(&output, 9, &said));
    frame = through(&output, WIRE_SERVER);
    assert_int_equal(wire_get_error(&frame, &got), IMMURE_E_MALFORMED);
    buffer_release(&output);
}

static void test_figures(void **state)
{
    (void)state;
    struct buffer output = BUFFER;
    struct wire_figure figures[WIRE_STATS_MAX + 1], got[WIRE_STATS_MAX];
    size_t count;
    for (size_t i = 0; i <= WIRE_STATS_MAX; i++)
        figures[i] = (struct wire_figure){.number = (uint16_t)i, .value = UINT64_MAX - i};
    assert_false(wire_put_figures(&output, 3, figures, WIRE_STATS_MAX + 1));
    assert_true(wire_put_figures(&output, 3, figures, WIRE_STATS_MAX));
    struct wire_frame frame = through(&output, WIRE_SERVER);
    assert_int_equal(wire_get_figures(&frame, got, &count), IMMURE_OK);
    assert_int_equal(count, WIRE_STATS_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i].number, i);
        assert_true(got[i].value == UINT64_MAX - i);
    }
    for (size_t wrong = 0; wrong < 0x10000; wrong += 13) {
        uint8_t *payload = (uint8_t *)frame.payload;
        payload[0] = (uint8_t)(wrong >> 8);
        payload[1] = (uint8_t)wrong;
        if (wrong != WIRE_STATS_MAX)
            assert_int_equal(wire_get_figures(&frame, got, &count), IMMURE_E_MALFORMED);
    }
    buffer_release(&output);
}

static void test_ticket_keys(void **state)
{
    (void)state;
    static const struct {
        uint32_t epoch_seconds, time_left;
        enum immure_error error;
    } rows[] = {{3600, 3600000, IMMURE_OK},
                {1, 0, IMMURE_OK},
                {UINT32_MAX, UINT32_MAX, IMMURE_OK},
                {0, 0, IMMURE_E_MALFORMED},
                {3600, 3600001, IMMURE_E_MALFORMED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer output = BUFFER;
        const struct wire_ticket_keys keys = {.epoch_seconds = rows[i].epoch_seconds,
                                              .time_left = rows[i].time_left,
                                              .epoch = UINT64_MAX - 5,
                                              .current = some,
                                              .previous = some + 100};
        struct wire_ticket_keys got;
        assert_true(wire_put_ticket_keys(&output, 6, &keys));
        struct wire_frame frame = through(&output, WIRE_SERVER);
        assert_int_equal(frame.type, WIRE_TICKET_KEYS);
        assert_int_equal(wire_get_ticket_keys(&frame, &got), rows[i].error);
        assert_int_equal(got.epoch_seconds, rows[i].epoch_seconds);
        assert_int_equal(got.time_left, rows[i].time_left);
        assert_true(got.epoch == UINT64_MAX - 5);
        assert_memory_equal(got.current, some, WIRE_TICKET_KEY_SIZE);
        assert_memory_equal(got.previous, some + 100, WIRE_TICKET_KEY_SIZE);
        buffer_release(&output);
    }
}

static void test_list_and_plain(void **state)
{
    (void)state;
    struct buffer output = BUFFER;
    struct wire_list got;
    assert_true(wire_put_list(&output, 2, &(struct wire_list){.first = 0xabcdef01}));
    struct wire_frame frame = through(&output, WIRE_CLIENT);
    assert_int_equal(wire_get_list(&frame, &got), IMMURE_OK);
    assert_int_equal(got.first, 0xabcdef01);
    static const enum wire_type plain[] = {WIRE_CANCEL, WIRE_STATS, WIRE_TICKETS, WIRE_PING};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        buffer_clear(&output);
        assert_true(wire_put_plain(&output, plain[i], 4, NULL, 0));
        frame = through(&output, WIRE_CLIENT);
        assert_int_equal(frame.type, plain[i]);
    }
    buffer_clear(&output);
    assert_true(wire_put_plain(&output, WIRE_PONG, 4, some, WIRE_PING_MAX));
    frame = through(&output, WIRE_SERVER);
    assert_int_equal(frame.length, WIRE_PING_MAX);
    buffer_release(&output);
}

#define MANY_KEYS 200

static void make_keys(struct wire_key *keys)
{
    for (size_t i = 0; i < MANY_KEYS; i++) {
        keys[i] = (struct wire_key){.id = some + i,
                                    .name = (const char *)some,
                                    .name_length = i,
                                    .spki = some + i,
                                    .spki_length = i * WIRE_SPKI_MAX / MANY_KEYS,
                                    .backend = (uint8_t)i,
                                    .lanes_backend = (uint8_t)(i + 1),
                                    .lanes_from = (uint8_t)(i + 2),
                                    .lanes = (uint8_t)(i + 3),
                                    .scheme_count = i % (WIRE_SCHEMES_MAX + 1)};
        for (size_t j = 0; j < keys[i].scheme_count; j++)
            keys[i].schemes[j] = (uint16_t)(i + j);
    }
}

static void check_key(const struct wire_key *key, const struct wire_key *wanted)
{
    assert_memory_equal(key->id, wanted->id, WIRE_KEY_ID_SIZE);
    assert_int_equal(key->name_length, wanted->name_length);
    assert_memory_equal(key->name, wanted->name, wanted->name_length);
    assert_int_equal(key->spki_length, wanted->spki_length);
    assert_memory_equal(key->spki, wanted->spki, wanted->spki_length);
    assert_int_equal(key->backend, wanted->backend);
    assert_int_equal(key->lanes_backend, wanted->lanes_backend);
    assert_int_equal(key->lanes_from, wanted->lanes_from);
    assert_int_equal(key->lanes, wanted->lanes);
    assert_int_equal(key->scheme_count, wanted->scheme_count);
    assert_memory_equal(key->schemes, wanted->schemes, 2 * wanted->scheme_count);
}

static void test_keys_in_pages(void **state)
{
    (void)state;
    struct wire_key keys[MANY_KEYS];
    make_keys(keys);
    uint32_t first = 0;
    size_t pages = 0;
    do {
        struct buffer output = BUFFER;
        size_t put;
        assert_true(
            wire_put_keys(&output, 8, keys + first, MANY_KEYS - first, first, MANY_KEYS, &put));
        struct wire_frame frame = through(&output, WIRE_SERVER);
        struct wire_keys_reader reader;
        struct wire_key key;
        assert_int_equal(wire_keys_begin(&frame, &reader), IMMURE_OK);
        assert_int_equal(reader.left, put);
        for (size_t i = 0; i < put; i++) {
            assert_int_equal(wire_keys_next(&reader, &key), IMMURE_OK);
            check_key(&key, &keys[first + i]);
        }
        assert_int_equal(reader.left, 0);
        assert_int_equal(reader.next, first + put < MANY_KEYS ? first + put : 0);
        first = reader.next;
        pages++;
        buffer_release(&output);
    } while (first != 0);
    assert_true(pages > 1);
}

/* A KEYS payload that is cut anywhere is malformed, and is never read beyond its end. */
static void test_keys_cut_short(void **state)
{
    (void)state;
    struct wire_key keys[MANY_KEYS];
    make_keys(keys);
    struct buffer output = BUFFER;
    size_t put;
    assert_true(wire_put_keys(&output, 8, keys + 10, 20, 0, 20, &put));
    size_t whole = buffer_length(&output) - WIRE_HEADER_SIZE;
    for (size_t length = 6; length < whole; length++) {
        uint8_t *payload = malloc(length);
        memcpy(payload, buffer_bytes(&output) + WIRE_HEADER_SIZE, length);
        struct wire_frame frame = {.type = WIRE_KEYS, .payload = payload, .length = length};
        struct wire_keys_reader reader;
        struct wire_key key;
        enum immure_error error = wire_keys_begin(&frame, &reader);
        while (error == IMMURE_OK && reader.left > 0)
            error = wire_keys_next(&reader, &key);
        assert_int_equal(error, IMMURE_E_MALFORMED);
        free(payload);
    }
    buffer_release(&output);
}

static void test_output_limit(void **state)
{
    (void)state;
    struct buffer output = BUFFER_INIT(WIRE_HEADER_SIZE + 10);
    assert_null(wire_frame_begin(&output, WIRE_PONG, 1, WIRE_PAYLOAD_MAX + 1));
    assert_false(wire_put_plain(&output, WIRE_PONG, 1, some, 11));
    assert_int_equal(buffer_length(&output), 0);
    assert_true(wire_put_plain(&output, WIRE_PONG, 1, some, 10));
    assert_false(wire_put_plain(&output, WIRE_PONG, 1, NULL, 0));
    struct wire_request long_message = {.type = WIRE_SIGN,
                                        .id = 1,
                                        .key_id = some,
                                        .input = some,
                                        .input_length = WIRE_MESSAGE_MAX + 1};
    assert_false(wire_put_request(&output, &long_message));
    struct wire_signed long_signature = {.signature = some,
                                         .signature_length = WIRE_SIGNATURE_MAX + 1};
    assert_false(wire_put_signed(&output, 1, &long_signature));
    buffer_release(&output);
}

int main(void)
{
    some_fill();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_and_welcome),
        cmocka_unit_test(test_sign),
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_decrypt),
        cmocka_unit_test(test_decrypted),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_ticket_keys),
        cmocka_unit_test(test_list_and_plain),
        cmocka_unit_test(test_keys_in_pages),
        cmocka_unit_test(test_keys_cut_short),
        cmocka_unit_test(test_output_limit),
    };
    return cmocka_run_group_tests(tests, NULL, decoder_end);
}
