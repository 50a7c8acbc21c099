#include "proxy/worker/core/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/worker/core/connection.h"
#include "proxy/worker/core/thread.h"

#define REST_PAUSE (20 * NS_PER_MS)
#define LISTEN_PAUSE NS_PER_MS

/* The master listens when the whole worker is ready, which is after this loop runs. Until then
 * epoll says EPOLLHUP, again and again. */
static void wait_for_master(struct listener *listener)
{
    struct loop *loop = &listener->thread->loop;
    watch_want(loop, &listener->watch, 0);
    timer_start(loop, &listener->rest, LISTEN_PAUSE);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
    struct listener *listener = list_entry(watch, struct listener, watch);
    if (listener->stopped)
        return; /* earlier in this turn */
    if (events & EPOLLHUP)
        wait_for_master(listener);
    else
        step_queue(&listener->thread->turn, STEP_ACCEPT, &listener->step);
}

/* The clients that cannot be accepted stay in the backlog. */
static void rest(struct listener *listener, const char *why)
{
    struct thread *thread = listener->thread;
    watch_want(&thread->loop, &listener->watch, 0);
    timer_start(&thread->loop, &listener->rest, REST_PAUSE);
    if (thread_may_log(thread, LINE_CLIENTS_WAIT))
        log_warning("frontend \"%s\": clients wait in the backlog: %s (thread %u has %zu)",
                    listener->frontend->config->name, why, thread->number,
                    thread->connection_count);
}

/* It looks again whether something has become free, in this thread or in another. */
static void rested(struct timer *timer)
{
    struct listener *listener = list_entry(timer, struct listener, rest);
    if (!listener->stopped)
        watch_want(&listener->thread->loop, &listener->watch, EPOLLIN);
}

static void accept_one(struct step *step)
{
    struct listener *listener = list_entry(step, struct listener, step);
    struct thread *thread = listener->thread;
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof peer;
    if (!thread_take_place(thread)) {
        rest(listener, "max-connections are open");
        return;
    }
    int descriptor = accept4(listener->watch.descriptor, (struct sockaddr *)&peer, &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        thread_give_place(thread);
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(listener, strerror(errno));
        return;
    }
    connection_open(thread, listener->frontend, descriptor, &peer);
    step_queue(&thread->turn, STEP_ACCEPT, step);
}

void listener_open(struct listener *listener, struct thread *thread, int descriptor,
                   const struct tls_frontend *frontend)
{
    int on = 1;
    listener->thread = thread;
    listener->frontend = frontend;
    watch_init(&listener->watch, listener_ready);
    step_init(&listener->step, accept_one);
    timer_init(&listener->rest, rested);
    /* Accepted sockets inherit it, so no handshake pays for the call. Not for unix sockets. */
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch_open(&listener->watch, descriptor, WATCH_LEVEL);
    watch_want(&thread->loop, &listener->watch, EPOLLIN);
}

void listener_stop(struct listener *listener)
{
    listener->stopped = true;
    timer_stop(&listener->thread->loop, &listener->rest);
    step_drop(&listener->step);
    /* clients come to whoever else has the socket, and nobody keeps it from the next master */
    watch_close(&listener->thread->loop, &listener->watch);
}
