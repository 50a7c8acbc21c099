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

#include "proxy/worker/transport/stream_socket.h"
#include "proxy/worker/transport/transports.h"

struct pair {
    struct stream_socket socket;
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
    pair.socket.transport.kind = transport_of(listener);
    pair.socket.transport.kind->prepare(listener);
    pair.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair.client, (struct sockaddr *)&address, sizeof address), 0);
    int accepted = pair.socket.transport.kind->accept(listener, &peer);
    assert_true(accepted >= 0);
    pair.socket.transport.kind->open(&pair.socket.transport, accepted);
    assert_int_equal(peer.ss_family, AF_INET);
    close(listener);
    return pair;
}

static void pair_close(struct pair *pair)
{
    close(pair->socket.watch.descriptor);
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
    int descriptor = pair.socket.watch.descriptor, on = 0;
    socklen_t length = sizeof on;
    char byte;
    assert_true((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(getsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
    assert_int_equal(on, 1); /* inherited from the listening socket */
    assert_int_equal(pair.socket.transport.kind->peek(&pair.socket.transport, &byte, 1), -1);
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
    assert_int_equal(pair.socket.transport.kind->peek(&pair.socket.transport, bytes, sizeof bytes),
                     5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(pair.socket.transport.kind->read(&pair.socket.transport, parts, 2), 5);
    assert_memory_equal(bytes, "he", 2);
    assert_memory_equal(rest, "llo", 3);
    assert_int_equal(pair.socket.transport.kind->read(&pair.socket.transport, parts, 2), -1);
    assert_int_equal(errno, EAGAIN);
    pair_close(&pair);
}

static void test_what_waits_goes_with_what_follows(void **state)
{
    (void)state;
    struct pair pair = pair_open();
    char bytes[8];
    assert_int_equal(pair.socket.transport.kind->write(&pair.socket.transport, "a", 1, true), 1);
    assert_int_equal(recv(pair.client, bytes, sizeof bytes, MSG_DONTWAIT), -1);
    assert_int_equal(pair.socket.transport.kind->write(&pair.socket.transport, "b", 1, false), 1);
    assert_int_equal(recv(pair.client, bytes, 2, MSG_WAITALL), 2);
    pair_close(&pair);
}

static void test_end_of_one_direction(void **state)
{
    (void)state;
    struct pair pair = pair_open();
    char byte;
    struct iovec part = {&byte, 1};
    pair.socket.transport.kind->end_writing(&pair.socket.transport);
    assert_int_equal(recv(pair.client, &byte, 1, 0), 0);
    assert_int_equal(send(pair.client, "x", 1, 0), 1);
    assert_int_equal(pair.socket.transport.kind->read(&pair.socket.transport, &part, 1), 1);
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_int_equal(pair.socket.transport.kind->read(&pair.socket.transport, &part, 1), 0);
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
    pair.socket.transport.kind->local_address(&pair.socket.transport, &address);
    assert_int_equal(address.ss_family, AF_INET);
    assert_int_equal(((struct sockaddr_in *)&address)->sin_port, peer.sin_port);
    pair_close(&pair);
    pair.socket.watch.descriptor = -1;
    pair.socket.transport.kind->local_address(&pair.socket.transport, &address);
    assert_int_equal(address.ss_family, AF_UNSPEC);
}

/* ---- what it announces ---- */

static unsigned announced; /* since the last look */

static void note(struct transport *transport, unsigned events)
{
    (void)transport;
    announced |= events;
}

static unsigned look(struct loop *loop)
{
    announced = 0;
    loop_look(loop, 0);
    return announced;
}

static struct pair watched_pair_open(struct loop *loop)
{
    struct pair pair = pair_open();
    assert_true(loop_open(loop));
    pair.socket.transport.loop = loop;
    pair.socket.transport.ready = note;
    return pair;
}

static void watched_pair_close(struct pair *pair, struct loop *loop)
{
    pair->socket.transport.kind->close(&pair->socket.transport);
    assert_int_equal(pair->socket.watch.descriptor, -1);
    close(pair->client);
    loop_close(loop);
}

static void test_announces_once_and_then_again_and_again(void **state)
{
    (void)state;
    struct loop loop;
    struct pair pair = watched_pair_open(&loop);
    struct transport *transport = &pair.socket.transport;
    assert_int_equal(send(pair.client, "x", 1, 0), 1);
    assert_int_equal(look(&loop), 0); /* nothing is wanted yet */
    transport->kind->want(transport, true, false);
    assert_int_equal(look(&loop), TRANSPORT_READABLE);
    assert_int_equal(look(&loop), 0);
    transport->kind->repeat(transport);
    assert_int_equal(look(&loop), 0);
    transport->kind->want(transport, true, true);
    assert_int_equal(look(&loop), TRANSPORT_READABLE | TRANSPORT_WRITABLE);
    assert_int_equal(look(&loop), TRANSPORT_READABLE | TRANSPORT_WRITABLE);
    transport->kind->want(transport, false, false);
    assert_int_equal(look(&loop), 0);
    watched_pair_close(&pair, &loop);
}

static void test_announces_the_end(void **state)
{
    (void)state;
    struct loop loop;
    struct pair pair = watched_pair_open(&loop);
    struct transport *transport = &pair.socket.transport;
    transport->kind->want(transport, true, false);
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_int_equal(look(&loop), TRANSPORT_READABLE | TRANSPORT_ENDED);
    transport->kind->end_writing(transport);
    assert_true(look(&loop) & TRANSPORT_GONE);
    watched_pair_close(&pair, &loop);
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
        cmocka_unit_test(test_announces_once_and_then_again_and_again),
        cmocka_unit_test(test_announces_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
