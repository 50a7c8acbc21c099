#include "proxy/worker/core/thread.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "handshake/fast_handshake.h"
#include "proxy/worker/core/held.h"
#include "proxy/worker/transport/transports.h"

#define CUT_PER_TURN 64
#define REFRESH_PAUSE                                                                              \
    (5 * NS_PER_MS) /* between two looks whether a handshake uses the old ones                     \
                     */
/* For established connections in one turn: more than handshakes get, which can wait. */
#define ESTABLISHED_BUDGET NS_PER_MS
/* The most that immure/client.h lets one client have pending. */
#define REQUESTS_MAX 65535

static void stop_if_drained(struct thread *thread)
{
    if (thread->draining && thread->places.count == 0)
        loop_stop(&thread->loop);
}

static void places_emptied(struct places *places)
{
    stop_if_drained(list_entry(places, struct thread, places));
}

static void drain(struct thread *thread, uint64_t deadline)
{
    thread->draining = true;
    timer_start_at(&thread->loop, &thread->drain_time, deadline);
    listeners_stop(&thread->listeners);
    stop_if_drained(thread);
}

static void report_refresh(const struct thread *thread, enum control_type result)
{
    const struct control_message message = {.type = result};
    if (!control_send(thread->keylink.control.descriptor, &message, -1))
        log_error("thread %u: cannot tell the master about its certificates: %s", thread->number,
                  strerror(errno));
}

static void clear_certificates(struct timer *timer)
{
    struct thread *thread = list_entry(timer, struct thread, refreshed);
    enum tls_cleared cleared = tls_clear(thread->tls);
    if (cleared == TLS_CLEARED)
        report_refresh(thread, CONTROL_STORE_TAKEN);
    else
        timer_start(&thread->loop, timer, cleared == TLS_CLEARS ? 0 : REFRESH_PAUSE);
}

static void refresh(struct thread *thread)
{
    if (tls_refresh(thread->tls)) {
        timer_start(&thread->loop, &thread->refreshed, 0);
        return;
    }
    log_error("thread %u: certificates: out of memory", thread->number);
    report_refresh(thread, CONTROL_STORE_FAILED);
}

static void take_verdicts(struct thread *thread, const struct control_message *message)
{
    for (uint32_t i = 0; i < message->verdicts.count && i < CONTROL_VERDICTS_MAX; i++)
        pools_judge(&thread->pools, message->verdicts.first + i, &message->verdicts.of[i]);
}

static void take_settings(struct thread *thread, const struct control_message *message)
{
    for (uint32_t i = 0; i < message->settings.count && i < CONTROL_SETTINGS_MAX; i++)
        pools_set(&thread->pools, message->settings.first + i, &message->settings.of[i]);
}

/* If there is no room for the message, the next worker finds out by itself. */
static void tell_paused(struct pools *pools, size_t server, uint64_t pause)
{
    const struct thread *thread = list_entry(pools, struct thread, pools);
    const struct control_message message = {.type = CONTROL_PAUSED,
                                            .paused = {.server = (uint32_t)server, .pause = pause}};
    control_send(thread->keylink.control.descriptor, &message, -1);
}

static void command(void *owner, const struct control_message *message, int descriptor)
{
    struct thread *thread = owner;
    descriptor_close(&descriptor); /* none is meant for a thread */
    if (message == NULL) {
        log_error("thread %u: the master is gone", thread->number);
        drain(thread, clock_now() + thread->config->drain_timeout);
    } else if (message->type == CONTROL_SERVERS) {
        pools_set_addresses(&thread->pools, message->servers.server, &message->servers.addresses);
    } else if (message->type == CONTROL_VERDICTS) {
        take_verdicts(thread, message);
    } else if (message->type == CONTROL_SETTINGS) {
        take_settings(thread, message);
    } else if (message->type == CONTROL_STORE) {
        refresh(thread);
    } else if (message->type == CONTROL_DRAIN) {
        drain(thread, message->deadline);
    } else if (message->type == CONTROL_TICKETS && !ticket_renewal_active(&thread->tickets)) {
        thread->tls->sessions.tickets.keys = message->tickets;
    }
}

/* Serves what the steps have asked for: secrets are derived here, signatures come from immured. */
static void flush(void *owner)
{
    struct thread *thread = owner;
    /* While handshakes wait to begin, a batch that is not full waits for what they will add. Where
     * they are held back, nobody knows when that is. */
    if (thread->tls->fast != NULL &&
        (!step_waiting(&thread->turn, STEP_BEGIN) || thread->admission.overload))
        fast_handshake_run(thread->tls->fast);
    keylink_flush(&thread->keylink);
}

static bool has_held(void *owner)
{
    return admission_ready(&((struct thread *)owner)->admission);
}

static struct step *take_held(void *owner)
{
    return held_take(&((struct thread *)owner)->admission);
}

/* At the end of the drain time. One turn closes a limited number. */
static void cut_connections(struct timer *timer)
{
    struct thread *thread = list_entry(timer, struct thread, drain_time);
    if (!thread->cutting)
        log_warning("thread %u: %zu connections are closed at the end of the drain time",
                    thread->number, thread->places.count);
    thread->cutting = true;
    if (connections_cut(&thread->connections, CUT_PER_TURN))
        timer_start(&thread->loop, timer, 0);
}

static void init_turn(struct thread *thread)
{
    thread->turn = (struct turn){.loop = &thread->loop,
                                 .established_budget = ESTABLISHED_BUDGET,
                                 .handshake_budget = thread->config->handshake_budget,
                                 .turns = &thread->metrics->turn,
                                 .turns_cpu = &thread->metrics->turn_cpu,
                                 .owner = thread,
                                 .flush = flush,
                                 .has_held = has_held,
                                 .take_held = take_held};
    turn_init(&thread->turn);
    timer_init(&thread->drain_time, cut_connections);
    timer_init(&thread->refreshed, clear_certificates);
}

static void init_connections(struct thread *thread)
{
    struct connections *connections = &thread->connections;
    connections->turn = &thread->turn;
    connections->metrics = thread->metrics;
    connections->places = &thread->places;
    connections->admission = &thread->admission;
    connections->routes = thread->routes;
    connections->handshake_timeout = thread->config->handshake_timeout;
    connections->idle_timeout = thread->config->idle_timeout;
    connections->half_close_timeout = thread->config->half_close_timeout;
    connections->handshakes.waits.fast = thread->tls->fast;
    connections->handshakes.waits.client = thread->keylink.client;
    connections->handshakes.waits.blocking = thread->keylink.blocking;
    connections_init(connections, thread->tls->client_bio);
}

/* One row for each address of each frontend, in the order of the configuration. NULL: out of
 * memory. */
static struct listener_row *make_listener_rows(const struct thread *thread, const int *descriptors,
                                               size_t *count)
{
    const struct proxy_config *config = thread->config;
    size_t most = 0;
    for (size_t i = 0; i < config->frontend_count; i++)
        most += config->frontends[i].listen_count;
    struct listener_row *rows = calloc(most, sizeof *rows);
    *count = 0;
    for (size_t i = 0; rows != NULL && i < config->frontend_count; i++) {
        const struct frontend_config *frontend = &config->frontends[i];
        const struct route *own = &thread->routes[frontend->routes[0].number];
        for (size_t j = 0; j < frontend->listen_count; j++) {
            int descriptor = descriptors[*count];
            rows[(*count)++] = (struct listener_row){descriptor, own, transport_of(descriptor)};
        }
    }
    return rows;
}

static bool open_listeners(struct thread *thread, const int *descriptors)
{
    thread->listeners.turn = &thread->turn;
    thread->listeners.places = &thread->places;
    thread->listeners.connections = &thread->connections;
    thread->listeners.thread = thread->number;
    size_t count;
    struct listener_row *rows = make_listener_rows(thread, descriptors, &count);
    bool opened = rows != NULL && listeners_open(&thread->listeners, rows, count);
    free(rows);
    return opened;
}

static bool open_keylink(struct thread *thread, const struct thread_setup *setup)
{
    size_t most = setup->limit->most;
    enum signing_mode mode =
        config_needs_keyd(setup->config) ? setup->config->signing : SIGNING_IN_PROCESS;
    thread->keylink.loop = &thread->loop;
    thread->keylink.metrics = setup->metrics;
    thread->keylink.owner = thread;
    thread->keylink.command = command;
    return keylink_open(&thread->keylink, setup->control, mode,
                        most < REQUESTS_MAX ? most : REQUESTS_MAX);
}

static bool open_admission(struct thread *thread, struct source_limits *limits)
{
    thread->admission.config = thread->config;
    thread->admission.loop = &thread->loop;
    thread->admission.metrics = thread->metrics;
    thread->admission.limits = limits;
    thread->admission.thread = thread->number;
    return admission_open(&thread->admission);
}

static bool open_routes(struct thread *thread, struct shared_servers *servers)
{
    if (!pools_open(&thread->pools, thread->config, &thread->loop, thread->metrics, servers,
                    thread->number) ||
        !searches_open(&thread->pools))
        return false;
    thread->pools.paused = tell_paused;
    thread->routes = routes_make(thread->tls, &thread->pools);
    return thread->routes != NULL;
}

struct thread *thread_new(const struct thread_setup *setup, struct conf_error *error)
{
    const struct proxy_config *config = setup->config;
    struct thread *thread = calloc(1, sizeof *thread);
    snprintf(error->text, sizeof error->text, "%s: out of memory", config->file);
    if (thread == NULL)
        return NULL;
    thread->config = config;
    thread->number = setup->number;
    thread->metrics = setup->metrics;
    places_init(&thread->places, setup->limit, &thread->loop, places_emptied);
    init_turn(thread);
    watch_init(&thread->keylink.control, NULL);
    watch_init(&thread->keylink.connection, NULL);
    watch_init(&thread->pools.woken, NULL);
    if (loop_open(&thread->loop) &&
        (thread->tls = tls_open(setup->tls, setup->number == 0, error)) != NULL &&
        open_keylink(thread, setup) && open_routes(thread, setup->servers) &&
        open_admission(thread, setup->source_limits)) {
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
    keylink_close(&thread->keylink);
    loop_close(&thread->loop);
    tls_close(thread->tls);
    listeners_free(&thread->listeners);
    free(thread->routes);
    searches_close(&thread->pools);
    pools_close(&thread->pools);
    connections_release(&thread->connections);
    admission_close(&thread->admission);
    free(thread);
}

/* Timers run after the turn's flush, so a request that a timer makes needs a flush of its own. */
static void send_question(struct ticket_renewal *renewal)
{
    keylink_flush(&list_entry(renewal, struct thread, tickets)->keylink);
}

void thread_take_tickets(struct thread *thread, const struct ticket_keys *keys, uint64_t at)
{
    thread->tickets = (struct ticket_renewal){.tickets = &thread->tls->sessions.tickets,
                                              .loop = &thread->loop,
                                              .client = thread->keylink.client,
                                              .blocking = thread->keylink.blocking,
                                              .send = send_question};
    ticket_renewal_begin(&thread->tickets, keys, at);
}

void thread_run(struct thread *thread)
{
    if (!fibers_open())
        log_error("thread %u: no fibers: handshakes cannot pause for signatures", thread->number);
    turn_run(&thread->turn);
    fibers_close();
    OPENSSL_thread_stop();
}
