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

#define CUT_PER_TURN 64
/* Of established connections in one turn: more than handshakes get, who wait for them. */
#define ESTABLISHED_BUDGET NS_PER_MS
/* The most that immure/client.h lets one client have pending. */
#define REQUESTS_MAX 65535

static void stop_if_drained(struct thread *thread)
{
    if (thread->draining && thread->connection_count == 0)
        loop_stop(&thread->loop);
}

static void drain(struct thread *thread, uint64_t deadline)
{
    thread->draining = true;
    timer_start_at(&thread->loop, &thread->drain_time, deadline);
    for (size_t i = 0; i < thread->listener_count; i++)
        listener_stop(&thread->listeners[i]);
    stop_if_drained(thread);
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
    if (thread->tls->fast != NULL && !step_waiting(&thread->turn, STEP_BEGIN))
        fast_handshake_run(thread->tls->fast);
    keylink_flush(&thread->keys);
}

/* At the end of the drain time; so many a turn. */
static void cut_connections(struct timer *timer)
{
    struct thread *thread = list_entry(timer, struct thread, drain_time);
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
    if (!list_empty(&thread->connections))
        timer_start(&thread->loop, timer, 0);
}

bool thread_take_place(struct thread *thread)
{
    if (atomic_fetch_add_explicit(&thread->limit->taken, 1, memory_order_relaxed) >=
        thread->limit->most) {
        atomic_fetch_sub_explicit(&thread->limit->taken, 1, memory_order_relaxed);
        return false;
    }
    heap_trim_note(&thread->heap, ++thread->connection_count);
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
    heap_trim_note(&thread->heap, --thread->connection_count);
    atomic_fetch_sub_explicit(&thread->limit->taken, 1, memory_order_relaxed);
    stop_if_drained(thread);
}

static void init_turn(struct thread *thread)
{
    thread->turn = (struct turn){.loop = &thread->loop,
                                 .established_budget = ESTABLISHED_BUDGET,
                                 .handshake_budget = thread->config->handshake_budget,
                                 .turns = &thread->metrics->turn,
                                 .turns_cpu = &thread->metrics->turn_cpu,
                                 .owner = thread,
                                 .flush = flush};
    turn_init(&thread->turn);
    timer_init(&thread->drain_time, cut_connections);
    heap_trim_init(&thread->heap, &thread->loop, &thread->limit->taken);
    fibers_init(&thread->fibers, &thread->loop, &thread->heap);
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
    thread->spare_ahead = BUFFER_INIT(CLIENT_AHEAD);
    list_init(&thread->connections);
    list_init(&thread->starved);
    init_turn(thread);
    watch_init(&thread->keys.control, NULL);
    watch_init(&thread->keys.connection, NULL);
    thread->keys.loop = &thread->loop;
    thread->keys.metrics = setup->metrics;
    thread->keys.owner = thread;
    thread->keys.command = command;
    size_t requests = setup->limit->most < REQUESTS_MAX ? setup->limit->most : REQUESTS_MAX;
    if (loop_open(&thread->loop) &&
        (thread->tls = tls_open(setup->tls, setup->number == 0, error)) != NULL &&
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
    turn_run(&thread->turn);
    fibers_close();
    OPENSSL_thread_stop();
}
