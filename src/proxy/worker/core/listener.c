#include "proxy/worker/core/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/worker/core/held.h"

/* How long a listener rests at the connection limit, or when descriptors or memory have run out. */
#define REST_PAUSE (20 * NS_PER_MS)
/* How often a listener checks whether the master has called listen(). */
#define LISTEN_PAUSE NS_PER_MS

static struct loop *loop_of(const struct listener *listener)
{
    return listener->listeners->turn->loop;
}

/* The master calls listen() only when the whole worker is ready, so this loop runs before that.
 * Until then epoll reports EPOLLHUP again and again. */
static void wait_for_master(struct listener *listener)
{
    watch_want(loop_of(listener), &listener->watch, 0);
    timer_start(loop_of(listener), &listener->rest, LISTEN_PAUSE);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
    struct listener *listener = list_entry(watch, struct listener, watch);
    if (listener->listeners->stopped)
        return; /* it was stopped earlier in this turn */
    if (events & EPOLLHUP) {
        wait_for_master(listener);
        return;
    }
    if (listener->backlog_since == 0)
        listener->backlog_since = loop_of(listener)->now;
    step_queue(listener->listeners->turn, STEP_ACCEPT, &listener->step);
}

/* Clients that cannot be accepted stay in the backlog. That they wait there says nothing about how
 * busy the loop is. */
static void rest(struct listener *listener, const char *why)
{
    struct listeners *listeners = listener->listeners;
    struct loop *loop = loop_of(listener);
    watch_want(loop, &listener->watch, 0);
    timer_start(loop, &listener->rest, REST_PAUSE);
    listener->backlog_since = 0;
    if (log_due(&listeners->wait_logged, loop->now))
        log_warning("frontend \"%s\": clients wait in the backlog: %s (thread %u has %zu)",
                    listener->route->name, why, listeners->thread, listeners->places->count);
}

/* Tries again: this thread or another may have freed something. */
static void rested(struct timer *timer)
{
    struct listener *listener = list_entry(timer, struct listener, rest);
    if (!listener->listeners->stopped)
        watch_want(loop_of(listener), &listener->watch, EPOLLIN);
}

/* How long a client was in the backlog: not for longer than there was a backlog. The kernel is
 * asked only if that is too long, because the question is a system call. If the kernel cannot tell,
 * the client is late, but nobody knows by how much. */
static uint64_t waited_in_backlog(const struct listener *listener, int descriptor)
{
    const struct admission *admission = listener->listeners->connections->admission;
    uint64_t stood = loop_of(listener)->now - listener->backlog_since;
    uint64_t most = admission->config->handshake_wait;
    if (stood <= most)
        return stood;
    if (listener->transport->silent_for == NULL)
        return most + 1;
    uint64_t silent = listener->transport->silent_for(descriptor);
    return silent < stood ? silent : stood;
}

/* Behind a load balancer the client is not known before its header is read. */
static bool is_too_late(const struct listener *listener, uint64_t waited,
                        const struct sockaddr_storage *peer)
{
    return listener->route->accept_proxy == PROXY_PROTOCOL_NONE &&
           admission_too_late(listener->listeners->connections->admission, waited, peer);
}

/* None was accepted: the backlog is empty, or errno says why. */
static void none_accepted(struct listener *listener)
{
    struct listeners *listeners = listener->listeners;
    int cause = errno;
    places_give(listeners->places);
    if (cause == EMFILE || cause == ENFILE || cause == ENOBUFS || cause == ENOMEM) {
        rest(listener, strerror(cause));
    } else if (cause == EAGAIN) {
        listener->backlog_since = 0;
        admission_accepted(listeners->connections->admission, &listener->backlog, 0);
    }
}

static void accept_one(struct step *step)
{
    struct listener *listener = list_entry(step, struct listener, step);
    struct listeners *listeners = listener->listeners;
    struct connections *connections = listeners->connections;
    struct sockaddr_storage peer;
    if (!places_take(listeners->places)) {
        if (held_shed_one(connections->admission))
            step_queue(listeners->turn, STEP_ACCEPT, step);
        else
            rest(listener, "max-connections are open");
        return;
    }
    int descriptor = listener->transport->accept(listener->watch.descriptor, &peer);
    if (descriptor < 0) {
        none_accepted(listener);
        return;
    }
    step_queue(listeners->turn, STEP_ACCEPT, step);
    uint64_t waited = waited_in_backlog(listener, descriptor);
    admission_accepted(connections->admission, &listener->backlog, waited);
    if (is_too_late(listener, waited, &peer)) {
        admission_note_shed(connections->admission, false);
        connection_refuse(connections, listener->transport, descriptor, HANDSHAKE_SHED);
    } else {
        connection_open(connections, listener->route, listener->transport, descriptor, &peer);
    }
}

static void listener_open(struct listener *listener, struct listeners *listeners,
                          const struct listener_row *row)
{
    *listener = (struct listener){.listeners = listeners,
                                  .route = row->route,
                                  .transport = row->transport,
                                  .backlog = admission_backlog(listeners->connections->admission)};
    watch_init(&listener->watch, listener_ready);
    step_init(&listener->step, accept_one);
    timer_init(&listener->rest, rested);
    if (row->transport->prepare != NULL)
        row->transport->prepare(row->descriptor);
    watch_open(&listener->watch, row->descriptor, WATCH_LEVEL);
    watch_want(listeners->turn->loop, &listener->watch, EPOLLIN);
}

bool listeners_open(struct listeners *listeners, const struct listener_row *rows, size_t count)
{
    listeners->of = calloc(count, sizeof *listeners->of);
    if (listeners->of == NULL)
        return false;
    listeners->count = count;
    for (size_t i = 0; i < count; i++)
        listener_open(&listeners->of[i], listeners, &rows[i]);
    return true;
}

void listeners_stop(struct listeners *listeners)
{
    listeners->stopped = true;
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *listener = &listeners->of[i];
        timer_stop(loop_of(listener), &listener->rest);
        step_drop(&listener->step);
        /* The kernel then gives clients to other processes that hold the socket, and the next
         * master can take it over. */
        watch_close(loop_of(listener), &listener->watch);
    }
}

void listeners_free(struct listeners *listeners)
{
    free(listeners->of);
}
