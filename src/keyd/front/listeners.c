#include "keyd/front/listeners.h"

#include <sys/epoll.h>

#include "base/clock.h"

#define ACCEPT_PAUSE (100 * NS_PER_MS)

static void listeners_watch(struct keyd_server *server, uint32_t events)
{
    for (size_t i = 0; i < server->listener_count; i++)
        watch_want(&server->loop, &server->listeners[i].watch, events);
}

static void accept_pause_over(struct timer *timer)
{
    listeners_watch(list_entry(timer, struct keyd_server, accept_pause), EPOLLIN);
}

void listeners_init(struct keyd_server *server)
{
    timer_init(&server->accept_pause, accept_pause_over);
}

void listeners_pause(struct keyd_server *server)
{
    listeners_watch(server, 0);
    timer_start(&server->loop, &server->accept_pause, ACCEPT_PAUSE);
}

void listeners_resume(struct keyd_server *server)
{
    if (!timer_is_running(&server->accept_pause))
        return;
    timer_stop(&server->loop, &server->accept_pause);
    listeners_watch(server, EPOLLIN);
}

void listeners_close(struct keyd_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        watch_close_shared(&server->loop, &server->listeners[i].watch);
    server->listener_count = 0;
    timer_stop(&server->loop, &server->accept_pause);
}
