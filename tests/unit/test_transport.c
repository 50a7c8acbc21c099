/* The transports: how a connection reads from its client and writes to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "proxy/worker/transport/transports.h"

struct pair {
    struct transport transport;
    int client;
};

/* Connects over the loopback, and accepts as a listener does. */
static struct pair pair_open(void)
{
    struct pair pair = {0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct sockaddr_storage peer;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    pair.transport.kind = transport_of(listener);
    pair.transport.kind->prepare(listener);
    pair.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair.client, (struct sockaddr *)&address, sizeof address), 0);
    pair.transport.watch.descriptor = pair.transport.kind->accept(listener, &peer);
    assert_true(pair.transport.watch.descriptor >= 0);
    assert_int_equal(peer.ss_family, AF_INET);
    close(listener);
    return pair;
}

static void pair_close(struct pair *pair)
{
    close(pair->transport.watch.descriptor);
    close(pair->client);
}

static const char *name_of(int family)
{
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    const char *name = transport_of(listener)->name;
    close(listener);
    return name;
}

/* IPv6 is not everywhere, so it is left to system.listeners. The socket is asked: an address such
 * as systemd:NAME says nothing of its family. */
static void test_transport_is_that_of_the_socket(void **state)
{
    (void)state;
    assert_string_equal(name_of(AF_INET), "tcp");
    assert_string_equal(name_of(AF_UNIX), "unix");
    assert_string_equal(transport_of(-1)->name, "unix"); /* never NULL */
}

static void test_accepted_does_not_block_and_sends_at_once(void **state)
{
    (void)state;
    struct pair pair = pair_open();
    int descriptor = pair.transport.watch.descriptor, on = 0;
    socklen_t length = sizeof on;
    char byte;
    assert_true((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(getsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
    assert_int_equal(on, 1); /* inherited from the listening socket */
    assert_int_equal(pair.transport.kind->peek(&pair.transport, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    pair_close(&pair);
}

static void test_peek_leaves_what_read_takes(void **state)
{
    (void)state;
    struct pair pair = pair_open();
    char bytes[8] = {0}, rest[8] = {0};
    struct iovec parts[] = {{bytes, 2}, {rest, sizeof rest}};
    assert_int_equal(send(pair.client, "hello", 5, 0), 5);
    assert_int_equal(pair.transport.kind->peek(&pair.transport, bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(pair.transport.kind->read(&pair.transport, parts, 2), 5);
    assert_memory_equal(bytes, "he", 2);
    assert_memory_equal(rest, "llo", 3);
    assert_int_equal(pair.transport.kind->read(&pair.transport, parts, 2), -1);
    assert_int_equal(errno, EAGAIN);
    pair_close(&pair);
}

static void test_what_waits_goes_with_what_follows(void **state)
{
    (void)state;
    struct pair pair = pair_open();
    char bytes[8];
    assert_int_equal(pair.transport.kind->write(&pair.transport, "a", 1, true), 1);
    assert_int_equal(recv(pair.client, bytes, sizeof bytes, MSG_DONTWAIT), -1);
    assert_int_equal(pair.transport.kind->write(&pair.transport, "b", 1, false), 1);
    assert_int_equal(recv(pair.client, bytes, 2, MSG_WAITALL), 2);
    pair_close(&pair);
}

static void test_end_of_one_direction(void **state)
{
    (void)state;
    struct pair pair = pair_open();
    char byte;
    struct iovec part = {&byte, 1};
    pair.transport.kind->end_writing(&pair.transport);
    assert_int_equal(recv(pair.client, &byte, 1, 0), 0);
    assert_int_equal(send(pair.client, "x", 1, 0), 1);
    assert_int_equal(pair.transport.kind->read(&pair.transport, &part, 1), 1);
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_int_equal(pair.transport.kind->read(&pair.transport, &part, 1), 0);
    pair_close(&pair);
}

static void test_local_address(void **state)
{
    (void)state;
    struct pair pair = pair_open();
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    assert_int_equal(getpeername(pair.client, (struct sockaddr *)&peer, &length), 0);
    pair.transport.kind->local_address(&pair.transport, &address);
    assert_int_equal(address.ss_family, AF_INET);
    assert_int_equal(((struct sockaddr_in *)&address)->sin_port, peer.sin_port);
    pair_close(&pair);
    pair.transport.watch.descriptor = -1;
    pair.transport.kind->local_address(&pair.transport, &address);
    assert_int_equal(address.ss_family, AF_UNSPEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transport_is_that_of_the_socket),
        cmocka_unit_test(test_accepted_does_not_block_and_sends_at_once),
        cmocka_unit_test(test_peek_leaves_what_read_takes),
        cmocka_unit_test(test_what_waits_goes_with_what_follows),
        cmocka_unit_test(test_end_of_one_direction),
        cmocka_unit_test(test_local_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
