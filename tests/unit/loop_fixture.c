#include <setjmp.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop_fixture.h"

#include <cmocka.h>

struct loop_fixture fixture;

int loop_fixture_open(void **state)
{
    (void)state;
    fixture.count = 0;
    fixture.order[0] = '\0';
    assert_true(loop_open(&fixture.loop));
    return 0;
}

int loop_fixture_close(void **state)
{
    (void)state;
    loop_close(&fixture.loop);
    return 0;
}

void note(char what)
{
    assert_true(fixture.count < ORDER_MAX - 1);
    fixture.order[fixture.count++] = what;
    fixture.order[fixture.count] = '\0';
}

void pair_open(struct pair *pair, void (*ready)(struct watch *watch, uint32_t events))
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    pair->other = ends[1];
    watch_init(&pair->watch, ready);
    watch_open(&pair->watch, ends[0], WATCH_LEVEL);
}

void pair_close(struct pair *pair)
{
    watch_close(&fixture.loop, &pair->watch);
    close(pair->other);
}

void pair_read(struct watch *watch, uint32_t events)
{
    char byte;
    assert_true(events & EPOLLIN);
    assert_int_equal(read(watch->descriptor, &byte, 1), 1);
    note(byte);
}
