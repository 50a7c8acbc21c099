#include "proxy/worker/core/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/worker/transport/transports.h"

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
    if (events & EPOLLHUP)
        wait_for_master(listener);
    else
        step_queue(listener->listeners->turn, STEP_ACCEPT, &listener->step);
}

/* Clients that cannot be accepted stay in the backlog. */
static void rest(struct listener *listener, const char *why)
{
    struct listeners *listeners = listener->listeners;
    struct loop *loop = loop_of(listener);
    watch_want(loop, &listener->watch, 0);
    timer_start(loop, &listener->rest, REST_PAUSE);
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

static void accept_one(struct step *step)
{
    struct listener *listener = list_entry(step, struct listener, step);
    struct listeners *listeners = listener->listeners;
    struct sockaddr_storage peer;
    if (!places_take(listeners->places)) {
        rest(listener, "max-connections are open");
        return;
    }
    int descriptor = listener->transport->accept(listener->watch.descriptor, &peer);
    if (descriptor < 0) {
        places_give(listeners->places);
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(listener, strerror(errno));
        return;
    }
    connection_open(listeners->connections, listener->route, listener->transport, descriptor,
                    &peer);
    step_queue(listeners->turn, STEP_ACCEPT, step);
}

static void listener_open(struct listener *listener, struct listeners *listeners, int descriptor,
                          const struct route *route, const struct transport_kind *transport)
{
    *listener = (struct listener){.listeners = listeners, .route = route, .transport = transport};
    watch_init(&listener->watch, listener_ready);
    step_init(&listener->step, accept_one);
    timer_init(&listener->rest, rested);
    if (transport->prepare != NULL)
        transport->prepare(descriptor);
    watch_open(&listener->watch, descriptor, WATCH_LEVEL);
    watch_want(listeners->turn->loop, &listener->watch, EPOLLIN);
}

bool listeners_open(struct listeners *listeners, const struct proxy_config *config,
                    const int *descriptors, const struct route *routes)
{
    size_t count = 0;
    for (size_t i = 0; i < config->frontend_count; i++)
        count += config->frontends[i].listen_count;
    listeners->of = calloc(count, sizeof *listeners->of);
    if (listeners->of == NULL)
        return false;
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].listen_count; j++) {
            size_t at = listeners->count++;
            listener_open(&listeners->of[at], listeners, descriptors[at],
                          &routes[config->frontends[i].routes[0].number],
                          transport_of(descriptors[at]));
        }
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
