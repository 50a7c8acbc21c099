/* Connecting to a server: its addresses, in order, and their time limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy/worker/backend/connect.h"

#define NOT_DONE (-1)
#define TIMEOUT (50 * NS_PER_MS)

struct fixture {
    struct loop loop;
    struct server server;
    struct server_connection connection;
    int cause; /* NOT_DONE */
    int listener;
};

static struct fixture *fixture_of(struct server_connection *connection)
{
    return list_entry(connection, struct fixture, connection);
}

static void ready(struct watch *watch, uint32_t events)
{
    (void)events;
    connect_step(list_entry(watch, struct server_connection, watch));
}

static void done(struct server_connection *connection, int cause)
{
    struct fixture *fixture = fixture_of(connection);
    assert_int_equal(fixture->cause, NOT_DONE); /* done() is called only once */
    fixture->cause = cause;
    loop_stop(&fixture->loop);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    fixture->server.name = "the server";
    fixture->cause = NOT_DONE;
    fixture->listener = -1;
    connect_init(&fixture->connection, ready, done);
    return loop_open(&fixture->loop) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    connect_close(&fixture->connection, &fixture->loop);
    assert_false(timer_is_running(&fixture->connection.timer));
    loop_close(&fixture->loop);
    if (fixture->listener >= 0)
        close(fixture->listener);
    free(fixture);
    return 0;
}

/* Opens a port of the loopback, which listens unless `backlog` is -1. */
static struct sockaddr_in bind_port(int *descriptor, int backlog)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    *descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*descriptor, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(*descriptor, (struct sockaddr *)&address, &length), 0);
    if (backlog >= 0)
        assert_int_equal(listen(*descriptor, backlog), 0);
    return address;
}

static void add(struct fixture *fixture, const void *address, socklen_t length)
{
    assert_true(server_addresses_add(&fixture->server.addresses, address, length));
}

static void connect_and_wait(struct fixture *fixture)
{
    connect_begin(&fixture->connection, &fixture->loop, &fixture->server, TIMEOUT);
    if (fixture->cause == NOT_DONE)
        loop_run(&fixture->loop);
}

static void test_connects(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_in address = bind_port(&fixture->listener, 1);
    add(fixture, &address, sizeof address);
    connect_and_wait(fixture);
    assert_int_equal(fixture->cause, 0);
    assert_true(fixture->connection.tcp);
    int accepted = accept(fixture->listener, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(send(fixture->connection.watch.descriptor, "x", 1, 0), 1);
    char byte;
    assert_int_equal(recv(accepted, &byte, 1, 0), 1);
    close(accepted);
}

static void test_next_address_when_one_refuses(void **state)
{
    struct fixture *fixture = *state;
    int silent;
    struct sockaddr_in refuses = bind_port(&silent, -1);
    struct sockaddr_in listens = bind_port(&fixture->listener, 1);
    add(fixture, &refuses, sizeof refuses);
    add(fixture, &listens, sizeof listens);
    connect_and_wait(fixture);
    assert_int_equal(fixture->cause, 0);
    assert_int_equal(fixture->connection.tried, 2);
    close(silent);
}

static void test_all_refuse(void **state)
{
    struct fixture *fixture = *state;
    int silent;
    struct sockaddr_in refuses = bind_port(&silent, -1);
    add(fixture, &refuses, sizeof refuses);
    add(fixture, &refuses, sizeof refuses);
    connect_and_wait(fixture);
    assert_int_equal(fixture->cause, ECONNREFUSED);
    assert_int_equal(fixture->connection.tried, 2);
    close(silent);
}

static void test_no_address_yet(void **state)
{
    struct fixture *fixture = *state;
    connect_and_wait(fixture);
    assert_int_equal(fixture->cause, EHOSTUNREACH);
}

/* No event says that the backlog of a unix socket has room again, so it is tried after a pause. */
static void fill(struct sockaddr_un *address, int *descriptors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        descriptors[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(descriptors[i], (struct sockaddr *)address, sizeof *address);
    }
}

static void test_full_backlog_times_out(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int others[4];
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "immure-test-connect-%d", getpid());
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fixture->listener, 0), 0);
    fill(&address, others, 4);
    add(fixture, &address, sizeof address);
    uint64_t begun = fixture->loop.now; /* the turn's time, from which the limit counts */
    connect_and_wait(fixture);
    assert_int_equal(fixture->cause, ETIMEDOUT);
    assert_false(fixture->connection.tcp);
    assert_true(clock_now() - begun >= TIMEOUT);
    for (int i = 0; i < 4; i++)
        close(others[i]);
}

static void test_closed_before_it_began(void **state)
{
    struct fixture *fixture = *state;
    assert_null(fixture->connection.server); /* teardown closes it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next_address_when_one_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_refuse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_address_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_backlog_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_before_it_began, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
