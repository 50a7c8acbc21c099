/* A buffer: bytes in and out in order, growing up to its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

static void test_bytes_come_out_in_order(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT(100000);
    uint8_t next_in = 0, next_out = 0;
    /* Steps of many sizes, so that growing and moving to the front both happen. */
    for (size_t step = 1; step < 900; step++) {
        for (size_t i = 0; i < step; i++)
            assert_true(buffer_append(&buffer, &(uint8_t){next_in++}, 1));
        size_t take = buffer_length(&buffer) * 2 / 3;
        for (size_t i = 0; i < take; i++)
            assert_int_equal(buffer_bytes(&buffer)[i], next_out++);
        buffer_consume(&buffer, take);
    }
    while (buffer_length(&buffer) > 0) {
        assert_int_equal(buffer_bytes(&buffer)[0], next_out++);
        buffer_consume(&buffer, 1);
    }
    assert_int_equal(next_in, next_out);
    buffer_release(&buffer);
}

static void test_limit_is_kept(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT(1000);
    static const uint8_t bytes[1001];
    assert_false(buffer_append(&buffer, bytes, 1001));
    assert_int_equal(buffer_length(&buffer), 0);
    assert_true(buffer_append(&buffer, bytes, 1000));
    assert_false(buffer_append(&buffer, bytes, 1));
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    assert_true(buffer_append(&buffer, bytes, 0));
    buffer_consume(&buffer, 600);
    assert_true(buffer_append(&buffer, bytes, 600));
    assert_int_equal(buffer_length(&buffer), 1000);
    buffer_release(&buffer);
}

static void test_reserved_bytes_count_when_committed(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT(1000);
    uint8_t *room = buffer_reserve(&buffer, 10);
    assert_non_null(room);
    memcpy(room, "immure", 6);
    assert_int_equal(buffer_length(&buffer), 0);
    buffer_commit(&buffer, 6);
    assert_int_equal(buffer_length(&buffer), 6);
    assert_memory_equal(buffer_bytes(&buffer), "immure", 6);
    buffer_release(&buffer);
}

static void test_empty_buffer_holds_no_memory(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT(1000);
    assert_null(buffer.data);
    assert_true(buffer_append(&buffer, "immure", 6));
    buffer_clear(&buffer);
    assert_int_equal(buffer_length(&buffer), 0);
    buffer_release(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.limit, 1000);
    assert_true(buffer_append(&buffer, "again", 5));
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_out_in_order),
        cmocka_unit_test(test_limit_is_kept),
        cmocka_unit_test(test_reserved_bytes_count_when_committed),
        cmocka_unit_test(test_empty_buffer_holds_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
