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
    /* Steps of many sizes, so that the buffer both grows and moves its content to the front. */
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

static size_t find(const uint8_t *bytes, size_t length, uint8_t wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += bytes[i] == wanted;
    return count;
}

/* Bytes that have left a secret buffer, or were moved in it, do not remain in its memory. */
static void test_a_secret_buffer_wipes_what_leaves_it(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT_SECRET(4096);
    uint8_t secret[300];
    enum { WRITTEN = sizeof secret + 2 }; /* the part of the memory that was written */
    memset(secret, 's', sizeof secret);
    assert_true(buffer_append(&buffer, "1", 1));
    assert_true(buffer_append(&buffer, secret, sizeof secret));
    assert_true(buffer_append(&buffer, "2", 1));
    buffer_consume(&buffer, 101);
    assert_int_equal(find(buffer.data, WRITTEN, 's'), 200);
    assert_int_equal(find(buffer.data, WRITTEN, '1'), 0);
    assert_non_null(buffer_reserve(&buffer, buffer.capacity - 201)); /* moved to the front */
    assert_int_equal(buffer.start, 0);
    assert_int_equal(find(buffer.data, WRITTEN, 's'), 200);
    assert_int_equal(find(buffer.data, WRITTEN, '2'), 1);
    buffer_consume(&buffer, 150);
    buffer_clear(&buffer);
    assert_int_equal(find(buffer.data, WRITTEN, 's'), 0);
    buffer_release(&buffer);
}

static uint8_t *watched; /* memory whose non-zero bytes are counted when it is freed */
static size_t watched_size, left;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
    if (memory != NULL && memory == watched)
        left = find(memory, watched_size, 's');
    __real_free(memory);
}

static void watch(const struct buffer *buffer)
{
    watched = buffer->data;
    watched_size = buffer->end;
    left = SIZE_MAX;
}

static void test_a_secret_buffer_frees_wiped_memory(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT_SECRET(4096);
    uint8_t secret[300];
    memset(secret, 's', sizeof secret);
    assert_true(buffer_append(&buffer, secret, sizeof secret));
    watch(&buffer);
    assert_true(buffer_append(&buffer, secret, sizeof secret)); /* it grows */
    assert_int_equal(left, 0);
    watch(&buffer);
    buffer_release(&buffer);
    assert_int_equal(left, 0);
    watched = NULL;
    assert_true(buffer_append(&buffer, secret, sizeof secret)); /* it still is secret */
    watch(&buffer);
    buffer_release(&buffer);
    assert_int_equal(left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_out_in_order),
        cmocka_unit_test(test_limit_is_kept),
        cmocka_unit_test(test_reserved_bytes_count_when_committed),
        cmocka_unit_test(test_empty_buffer_holds_no_memory),
        cmocka_unit_test(test_a_secret_buffer_wipes_what_leaves_it),
        cmocka_unit_test(test_a_secret_buffer_frees_wiped_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
