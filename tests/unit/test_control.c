/* What master and worker say to each other: whole messages, with descriptors, or an error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/descriptor.h"
#include "proxy/shared/control.h"

static int ends[2];

static int open_ends(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

static int close_ends(void **state)
{
    (void)state;
    descriptor_close(&ends[0]);
    descriptor_close(&ends[1]);
    return 0;
}

static void message_arrives_whole(void **state)
{
    (void)state;
    struct control_message sent = {.type = CONTROL_TICKETS}, got;
    memset(&sent.tickets, 0x5a, sizeof sent.tickets);
    int descriptor = 77;
    assert_true(control_send(ends[0], &sent, -1));
    assert_int_equal(control_receive(ends[1], &got, &descriptor), 1);
    assert_int_equal(got.type, CONTROL_TICKETS);
    assert_memory_equal(&got.tickets, &sent.tickets, sizeof sent.tickets);
    assert_int_equal(descriptor, -1);
}

static void messages_keep_their_order(void **state)
{
    (void)state;
    struct control_message got;
    int descriptor;
    for (uint64_t i = 0; i < 10; i++)
        assert_true(control_send(
            ends[0], &(struct control_message){.type = CONTROL_DRAIN, .deadline = i}, -1));
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(control_receive(ends[1], &got, &descriptor), 1);
        assert_int_equal(got.deadline, i);
    }
}

static void descriptor_comes_along(void **state)
{
    (void)state;
    int pipe_ends[2], descriptor = -1;
    assert_int_equal(pipe(pipe_ends), 0);
    struct control_message message = {.type = CONTROL_KEYD};
    assert_true(control_send(ends[0], &message, pipe_ends[0]));
    assert_int_equal(control_receive(ends[1], &message, &descriptor), 1);
    struct stat sent, got;
    assert_int_equal(fstat(pipe_ends[0], &sent), 0);
    assert_int_equal(fstat(descriptor, &got), 0);
    assert_int_equal(sent.st_ino, got.st_ino);
    descriptor_close(&descriptor);
    descriptor_close(&pipe_ends[0]);
    descriptor_close(&pipe_ends[1]);
}

static void nothing_there_is_not_the_end(void **state)
{
    (void)state;
    struct control_message message;
    int descriptor;
    assert_int_equal(control_receive(ends[1], &message, &descriptor), -1);
    assert_int_equal(errno, EAGAIN);
}

static void end_of_the_other_side(void **state)
{
    (void)state;
    struct control_message message = {.type = CONTROL_READY};
    int descriptor;
    descriptor_close(&ends[0]);
    assert_int_equal(control_receive(ends[1], &message, &descriptor), 0);
    assert_false(control_send(ends[1], &message, -1));
}

static void wrong_size_is_an_error(void **state)
{
    (void)state;
    char bytes[sizeof(struct control_message) + 1] = {CONTROL_READY};
    const size_t sizes[] = {1, sizeof(struct control_message) - 1,
                            sizeof(struct control_message) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct control_message message;
        int descriptor = -1;
        assert_int_equal(descriptor_send(ends[0], bytes, sizes[i], ends[0]), sizes[i]);
        assert_int_equal(control_receive(ends[1], &message, &descriptor), -1);
        assert_int_equal(errno, EPROTO);
        assert_int_equal(descriptor, -1);
    }
}

static void unknown_type_is_an_error(void **state)
{
    (void)state;
    struct control_message message = {.type = (enum control_type)99};
    int descriptor = -1;
    assert_true(control_send(ends[0], &message, -1));
    assert_int_equal(control_receive(ends[1], &message, &descriptor), -1);
    assert_int_equal(errno, EPROTO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ends, close_ends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(message_arrives_whole),    TEST(messages_keep_their_order),
        TEST(descriptor_comes_along),   TEST(nothing_there_is_not_the_end),
        TEST(end_of_the_other_side),    TEST(wrong_size_is_an_error),
        TEST(unknown_type_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
