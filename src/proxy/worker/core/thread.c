#include "proxy/worker/core/thread.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "handshake/fast_handshake.h"

#define RETRY_PAUSE (20 * NS_PER_MS)
#define REST_PAUSE (20 * NS_PER_MS)
#define LISTEN_PAUSE NS_PER_MS
#define CUT_PER_TURN 64
/* Of established connections in one turn: more than handshakes get, who wait for them. */
#define ESTABLISHED_BUDGET NS_PER_MS
/* The most that immure/client.h lets one client have pending. */
#define REQUESTS_MAX 65535

static void drain(struct thread *thread, uint64_t deadline)
{
    thread->draining = true;
    thread->drain_deadline = deadline;
    listeners_stop(&thread->listeners);
}

static void command(void *owner, const struct control_message *message)
{
    struct thread *thread = owner;
    if (message == NULL) {
        log_error("thread %u: the master is gone", thread->number);
        drain(thread, clock_now() + thread->config->drain_timeout);
    } else if (message->type == CONTROL_SERVERS) {
        pools_set_addresses(&thread->pools, message->servers.backend, &message->servers.addresses);
    } else if (message->type == CONTROL_DRAIN) {
        drain(thread, message->deadline);
    } else if (message->type == CONTROL_TICKETS && !ticket_renewal_active(&thread->tickets)) {
        thread->tls->sessions.tickets.keys = message->tickets;
    }
}

/* What the steps have asked for: secrets here, signatures of immured. */
static void flush(void *owner)
{
    struct thread *thread = owner;
    /* While handshakes wait to begin, others come for a batch that is not full. */
    if (thread->tls->fast != NULL && !step_waiting(&thread->loop, STEP_BEGIN))
        fast_handshake_run(thread->tls->fast);
    ticket_renewal_tick(&thread->tickets, thread->loop.now);
    keylink_flush(&thread->keys);
}

static uint64_t next_deadline(void *owner)
{
    const struct thread *thread = owner;
    uint64_t deadline = fibers_deadline(&thread->connections.handshakes.waits.fibers);
    if (heap_deadline(&thread->places.heap) < deadline)
        deadline = heap_deadline(&thread->places.heap);
    if (thread->draining && thread->drain_deadline < deadline)
        deadline = thread->drain_deadline;
    if (thread->tickets.at < deadline)
        deadline = thread->tickets.at;
    if (thread->keys.client != NULL) {
        uint64_t next = immure_client_next_deadline(thread->keys.client);
        deadline = next < deadline ? next : deadline;
    }
    return deadline;
}

/* At the end of the drain time; so many a turn. */
static void cut_connections(struct thread *thread)
{
    if (!thread->cutting)
        log_warning("thread %u: %zu connections are closed at the end of the drain time",
                    thread->number, thread->places.count);
    thread->cutting = true;
    connections_cut(&thread->connections, CUT_PER_TURN);
}

static void give_memory_back(struct thread *thread)
{
    uint64_t now = thread->loop.now;
    if (fibers_trim(&thread->connections.handshakes.waits.fibers, now))
        heap_note_freed(&thread->places.heap, thread->places.count, now);
    places_trim(&thread->places, now);
}

static void end_turn(void *owner)
{
    struct thread *thread = owner;
    keylink_expire(&thread->keys);
    give_memory_back(thread);
    if (thread->draining && thread->loop.now >= thread->drain_deadline && thread->places.count > 0)
        cut_connections(thread);
    connections_free_closed(&thread->connections);
    if (thread->draining && thread->places.count == 0)
        loop_stop(&thread->loop);
}

static void init_loop(struct thread *thread)
{
    const struct config *config = thread->config;
    struct loop *loop = &thread->loop;
    const struct {
        uint64_t duration;
        void (*expired)(struct timer *timer);
    } timers[TIMER_COUNT] = {
        [TIMER_HANDSHAKE] = {config->handshake_timeout, connection_handshake_expired},
        [TIMER_CONNECT] = {config->connect_timeout, connect_expired},
        [TIMER_CONNECT_NEXT] = {config->connect_timeout < CONNECT_NEXT ? config->connect_timeout
                                                                       : CONNECT_NEXT,
                                connect_next_expired},
        [TIMER_RECONNECT] = {CONNECT_AGAIN, connect_again_expired},
        [TIMER_IDLE] = {config->idle_timeout, connection_idle_expired},
        [TIMER_HALF_CLOSE] = {config->half_close_timeout, connection_half_close_expired},
        [TIMER_RETRY] = {RETRY_PAUSE, keylink_retry},
        [TIMER_REST] = {REST_PAUSE, listener_rested},
        [TIMER_LISTEN] = {LISTEN_PAUSE, listener_rested},
    };
    for (int i = 0; i < TIMER_COUNT; i++)
        timer_queue_init(&loop->timers[i], timers[i].duration, timers[i].expired);
    loop->established_budget = ESTABLISHED_BUDGET;
    loop->handshake_budget = config->handshake_budget;
    loop->turns = &thread->metrics->turn;
    loop->turns_cpu = &thread->metrics->turn_cpu;
    loop->owner = thread;
    loop->flush = flush;
    loop->next_deadline = next_deadline;
    loop->end_turn = end_turn;
}

static void init_connections(struct thread *thread)
{
    struct connections *connections = &thread->connections;
    connections->loop = &thread->loop;
    connections->metrics = thread->metrics;
    connections->places = &thread->places;
    connections->handshake_timeout = thread->config->handshake_timeout;
    connections->handshakes.waits.fast = thread->tls->fast;
    connections->handshakes.waits.client = thread->keys.client;
    connections->handshakes.waits.blocking = thread->keys.blocking;
    connections_init(connections, thread->tls->client_bio);
}

static bool open_listeners(struct thread *thread, const int *descriptors)
{
    thread->listeners.loop = &thread->loop;
    thread->listeners.places = &thread->places;
    thread->listeners.connections = &thread->connections;
    thread->listeners.thread = thread->number;
    return listeners_open(&thread->listeners, thread->config, descriptors, thread->routes);
}

static bool open_keys(struct thread *thread, const struct thread_setup *setup)
{
    size_t most = setup->limit->most;
    thread->keys.loop = &thread->loop;
    thread->keys.metrics = setup->metrics;
    thread->keys.owner = thread;
    thread->keys.command = command;
    return keylink_open(&thread->keys, setup->control, setup->config->signing,
                        most < REQUESTS_MAX ? most : REQUESTS_MAX);
}

static bool open_routes(struct thread *thread)
{
    if (!pools_open(&thread->pools, thread->config, &thread->loop, thread->metrics))
        return false;
    thread->routes = routes_make(thread->tls, &thread->pools);
    return thread->routes != NULL;
}

struct thread *thread_new(const struct thread_setup *setup, struct conf_error *error)
{
    const struct config *config = setup->config;
    struct thread *thread = calloc(1, sizeof *thread);
    snprintf(error->text, sizeof error->text, "%s: out of memory", config->file);
    if (thread == NULL)
        return NULL;
    thread->config = config;
    thread->number = setup->number;
    thread->metrics = setup->metrics;
    thread->tickets = TICKET_RENEWAL_INIT;
    thread->places = (struct places){.limit = setup->limit, .heap = HEAP_INIT};
    init_loop(thread);
    watch_init(&thread->keys.control, NULL);
    watch_init(&thread->keys.connection, NULL);
    thread->tls = tls_open(setup->tls, setup->number == 0, error);
    if (thread->tls != NULL && loop_open(&thread->loop) && open_keys(thread, setup) &&
        open_routes(thread)) {
        init_connections(thread);
        if (open_listeners(thread, setup->listeners))
            return thread;
    }
    thread_free(thread);
    return NULL;
}

void thread_free(struct thread *thread)
{
    if (thread == NULL)
        return;
    keylink_close(&thread->keys);
    loop_close(&thread->loop);
    tls_close(thread->tls);
    listeners_free(&thread->listeners);
    free(thread->routes);
    pools_close(&thread->pools);
    buffer_release(&thread->connections.spare_ahead);
    free(thread);
}

void thread_run(struct thread *thread)
{
    if (!fibers_open())
        log_error("thread %u: no fibers; handshakes wait for signatures", thread->number);
    loop_run(&thread->loop);
    fibers_close();
    OPENSSL_thread_stop();
}
