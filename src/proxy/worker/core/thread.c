#include "proxy/worker/core/thread.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "handshake/fast_handshake.h"
#include "proxy/worker/core/connection.h"

#define CONNECT_NEXT NS_PER_S /* for an address behind which there are others */
#define RETRY_PAUSE (20 * NS_PER_MS)
#define REST_PAUSE (20 * NS_PER_MS)
#define LISTEN_PAUSE NS_PER_MS
#define RECONNECT_PAUSE (10 * NS_PER_MS)
#define CUT_PER_TURN 64
/* Of established connections in one turn: more than handshakes get, who wait for them. */
#define ESTABLISHED_BUDGET NS_PER_MS
/* The most that immure/client.h lets one client have pending. */
#define REQUESTS_MAX 65535

static void drain(struct thread *thread, uint64_t deadline)
{
    thread->draining = true;
    thread->drain_deadline = deadline;
    for (size_t i = 0; i < thread->listener_count; i++)
        listener_stop(&thread->listeners[i]);
}

static void command(void *owner, const struct control_message *message)
{
    struct thread *thread = owner;
    if (message == NULL) {
        log_error("thread %u: the master is gone", thread->number);
        drain(thread, clock_now() + thread->config->drain_timeout);
    } else if (message->type == CONTROL_SERVERS) {
        if (message->servers.backend < thread->config->backend_count)
            thread->servers[message->servers.backend] = message->servers.addresses;
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
    uint64_t deadline = fibers_deadline(&thread->fibers);
    if (heap_deadline(&thread->heap) < deadline)
        deadline = heap_deadline(&thread->heap);
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
                    thread->number, thread->connection_count);
    thread->cutting = true;
    for (int i = 0; i < CUT_PER_TURN && !list_empty(&thread->connections); i++) {
        struct connection *connection =
            list_entry(thread->connections.next, struct connection, node);
        if (connection->state < CONNECTION_CONNECT)
            connection_close(connection);
        else
            connection_end(connection, END_DRAIN);
    }
}

static void give_memory_back(struct thread *thread)
{
    uint64_t now = thread->loop.now;
    if (fibers_trim(&thread->fibers, now))
        heap_note_freed(&thread->heap, thread->connection_count, now);
    heap_trim(&thread->heap, atomic_load_explicit(&thread->limit->taken, memory_order_relaxed),
              now);
}

static void end_turn(void *owner)
{
    struct thread *thread = owner;
    keylink_expire(&thread->keys);
    give_memory_back(thread);
    if (thread->draining && thread->loop.now >= thread->drain_deadline &&
        thread->connection_count > 0)
        cut_connections(thread);
    for (struct list *node; (node = list_take(&thread->closed)) != NULL;)
        free(list_entry(node, struct connection, node));
    if (thread->draining && thread->connection_count == 0)
        loop_stop(&thread->loop);
}

bool thread_take_place(struct thread *thread)
{
    if (atomic_fetch_add_explicit(&thread->limit->taken, 1, memory_order_relaxed) >=
        thread->limit->most) {
        atomic_fetch_sub_explicit(&thread->limit->taken, 1, memory_order_relaxed);
        return false;
    }
    heap_note(&thread->heap, ++thread->connection_count, thread->loop.now);
    return true;
}

bool thread_may_log(struct thread *thread, enum thread_line line)
{
    if (thread->logged[line] != 0 && thread->loop.now - thread->logged[line] < NS_PER_S)
        return false;
    thread->logged[line] = thread->loop.now;
    return true;
}

void thread_give_place(struct thread *thread)
{
    heap_note(&thread->heap, --thread->connection_count, thread->loop.now);
    atomic_fetch_sub_explicit(&thread->limit->taken, 1, memory_order_relaxed);
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
        [TIMER_CONNECT] = {config->connect_timeout, connection_connect_expired},
        [TIMER_CONNECT_NEXT] = {config->connect_timeout < CONNECT_NEXT ? config->connect_timeout
                                                                       : CONNECT_NEXT,
                                connection_connect_next_expired},
        [TIMER_RECONNECT] = {RECONNECT_PAUSE, connection_reconnect_expired},
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

static bool take_servers(struct thread *thread)
{
    const struct config *config = thread->config;
    thread->servers = calloc(config->backend_count, sizeof *thread->servers);
    for (size_t i = 0; thread->servers != NULL && i < config->backend_count; i++)
        thread->servers[i] = config->backends[i].addresses;
    return thread->servers != NULL;
}

static bool open_listeners(struct thread *thread, const int *descriptors)
{
    const struct config *config = thread->config;
    size_t count = 0;
    for (size_t i = 0; i < config->frontend_count; i++)
        count += config->frontends[i].listen_count;
    thread->listeners = calloc(count, sizeof *thread->listeners);
    if (thread->listeners == NULL)
        return false;
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].listen_count; j++) {
            size_t at = thread->listener_count++;
            listener_open(&thread->listeners[at], thread, descriptors[at],
                          &thread->tls->frontends[i]);
        }
    return true;
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
    thread->limit = setup->limit;
    thread->tickets = TICKET_RENEWAL_INIT;
    thread->heap = HEAP_INIT;
    thread->spare_ahead = BUFFER_INIT(CLIENT_AHEAD);
    list_init(&thread->connections);
    list_init(&thread->starved);
    list_init(&thread->closed);
    init_loop(thread);
    watch_init(&thread->keys.control, NULL);
    watch_init(&thread->keys.connection, NULL);
    thread->keys.loop = &thread->loop;
    thread->keys.metrics = setup->metrics;
    thread->keys.owner = thread;
    thread->keys.command = command;
    size_t requests = setup->limit->most < REQUESTS_MAX ? setup->limit->most : REQUESTS_MAX;
    thread->tls = tls_open(setup->tls, setup->number == 0, error);
    if (thread->tls != NULL && loop_open(&thread->loop) &&
        keylink_open(&thread->keys, setup->control, config->signing, requests) &&
        take_servers(thread) && open_listeners(thread, setup->listeners))
        return thread;
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
    free(thread->listeners);
    free(thread->servers);
    buffer_release(&thread->spare_ahead);
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
