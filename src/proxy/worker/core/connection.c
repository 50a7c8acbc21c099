#include "proxy/worker/core/connection.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "proxy/worker/core/handshake.h"
#include "proxy/worker/core/thread.h"
#include "proxy/worker/relay/relay.h"

static void connection_step(struct step *step)
{
    struct connection *connection = list_entry(step, struct connection, step);
    switch (connection->state) {
    case CONNECTION_PROXY_HEADER:
    case CONNECTION_HANDSHAKE:
    case CONNECTION_DERIVING:
    case CONNECTION_SIGNING:
        if (connection->gone)
            handshake_give_up(connection);
        else if (connection->state == CONNECTION_PROXY_HEADER)
            handshake_read_proxy_header(connection);
        else
            handshake_step(connection);
        break;
    case CONNECTION_CONNECT:
        relay_connected(connection);
        break;
    case CONNECTION_RELAY:
        relay_serve(connection);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

/*
 * A client that has gone needs no signature and no key exchange. One that has only sent a FIN has
 * gone, too, as long as the handshake has something to send; later the FIN may stand behind the
 * client's last flight, and a request and its close_notify before it.
 */
static bool has_gone(const struct connection *connection, uint32_t events)
{
    return (events & (EPOLLHUP | EPOLLERR)) ||
           ((events & EPOLLRDHUP) && !connection->input.flight_sent);
}

static void handshake_ready(struct connection *connection, uint32_t events)
{
    connection->input.hung_up |= (events & EPOLLRDHUP) != 0;
    connection->gone |= has_gone(connection, events);
    if (connection->gone) {
        step_drop(&connection->step); /* it may wait among those that begin */
        step_queue(&connection->thread->turn, STEP_FINISH, &connection->step);
    } else if (connection->state == CONNECTION_PROXY_HEADER ||
               connection->state == CONNECTION_HANDSHAKE) {
        step_queue(&connection->thread->turn, STEP_BEGIN, &connection->step);
    }
}

static void client_ready(struct watch *watch, uint32_t events)
{
    struct connection *connection = list_entry(watch, struct connection, client);
    connection->input.dry = false;
    if (connection->state < CONNECTION_CONNECT) {
        handshake_ready(connection, events);
    } else if (connection->state == CONNECTION_RELAY) {
        connection->client_event |=
            (events & ~(uint32_t)EPOLLOUT) != 0 || connection->read_wants_write;
        step_queue_established(&connection->thread->turn, &connection->step);
    }
    /* Nothing is wanted of the client until the backend is there. */
}

static void backend_ready(struct watch *watch, uint32_t events)
{
    struct connection *connection = list_entry(watch, struct connection, backend);
    connection->backend_event |= (events & ~(uint32_t)EPOLLOUT) != 0;
    step_queue_established(&connection->thread->turn, &connection->step);
}

static void wake(struct immure_waiter *waiter)
{
    struct connection *connection = list_entry(waiter, struct connection, waiter);
    PROBE(immure_proxy, signature_answered, connection, waiter->error,
          waiter->answered_at - waiter->asked_at);
    connection->state = CONNECTION_HANDSHAKE;
    step_queue(&connection->thread->turn, STEP_FINISH, &connection->step);
}

static void wake_derived(struct derivation_waiter *waiter)
{
    struct connection *connection = list_entry(waiter, struct connection, derivation);
    connection->state = CONNECTION_HANDSHAKE;
    step_queue(&connection->thread->turn, STEP_FINISH, &connection->step);
}

static void handshake_expired(struct timer *timer)
{
    connection_fail(list_entry(timer, struct connection, timer), HANDSHAKE_TIMEOUT);
}

static void free_closed(struct work *work)
{
    free(list_entry(work, struct connection, freed));
}

void connection_open(struct thread *thread, const struct tls_frontend *frontend, int descriptor,
                     const struct sockaddr_storage *peer)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        log_warning("no memory for a connection; it is closed");
        (void)close(descriptor);
        thread_give_place(thread);
        return;
    }
    connection->thread = thread;
    connection->frontend = frontend;
    connection->addresses.source = *peer;
    connection->accepted_at = thread->loop.now;
    connection->up.pending = connection->down.pending = BUFFER_INIT(RELAY_PENDING_MAX);
    connection->input.ahead = BUFFER_INIT(CLIENT_AHEAD);
    list_init(&connection->starved);
    timer_init(&connection->timer, handshake_expired);
    work_init(&connection->freed, free_closed);
    step_init(&connection->step, connection_step);
    watch_init(&connection->client, client_ready);
    watch_init(&connection->backend, backend_ready);
    connection->waiter.client = thread->keys.client;
    connection->waiter.blocking = thread->keys.blocking;
    connection->waiter.wake = wake;
    connection->derivation.wake = wake_derived;
    connection->waiter.deadline = thread->loop.now + thread->config->handshake_timeout;
    connection->state = frontend->config->accept_proxy != PROXY_PROTOCOL_NONE
                            ? CONNECTION_PROXY_HEADER
                            : CONNECTION_HANDSHAKE;

    list_append(&thread->connections, &connection->node);
    watch_open(&connection->client, descriptor, WATCH_EDGE);
    watch_want(&thread->loop, &connection->client, EPOLLIN | EPOLLRDHUP);
    timer_start(&thread->loop, &connection->timer, thread->config->handshake_timeout);
    metric_add(&thread->metrics->accepted_total, 1);
    metric_add(&thread->metrics->handshaking, 1);
    metric_add(&thread->metrics->connections, 1);
    PROBE(immure_proxy, accepted, connection, descriptor);
}

const struct backend_config *connection_backend(const struct connection *connection)
{
    return &connection->thread->config->backends[connection->frontend->config->backend];
}

/* Before libssl may free a connection whose fiber is paused the fiber must have ended: one more
 * call does that, without a descriptor to write an alert to. */
static void end_fiber(struct connection *connection)
{
    immure_waiter_cancel(&connection->waiter);
    fast_handshake_cancel(&connection->derivation);
    BIO *nowhere = BIO_new(BIO_s_null());
    SSL_set_bio(connection->ssl, nowhere, nowhere);
    immure_waiter_enter(&connection->waiter);
    SSL_do_handshake(connection->ssl);
    immure_waiter_leave();
    ERR_clear_error();
    fibers_note(&connection->thread->fibers, &connection->has_fiber, false);
    handshake_feed_starved(connection->thread);
}

void connection_close(struct connection *connection)
{
    struct thread *thread = connection->thread;
    if (connection->state == CONNECTION_CLOSED)
        return;
    if (connection->waiter.operation != NULL || connection->derivation.waits_for != NULL)
        end_fiber(connection);
    if (connection->state < CONNECTION_CONNECT)
        metric_add(&thread->metrics->handshaking, (uint64_t)-1);
    PROBE(immure_proxy, closed, connection, connection->state);
    connection->state = CONNECTION_CLOSED;
    /* else libssl would end the session, too, for want of a close_notify (RFC 5246, 7.2.1) */
    if (connection->ssl != NULL)
        SSL_set_shutdown(connection->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    watch_close(&thread->loop, &connection->client);
    watch_close(&thread->loop, &connection->backend);
    client_bio_release(connection);
    buffer_release(&connection->up.pending);
    buffer_release(&connection->down.pending);
    timer_stop(&thread->loop, &connection->timer);
    step_drop(&connection->step);
    list_remove(&connection->starved);
    if (connection->fed)
        handshake_feed_starved(thread); /* another may use what was kept for this one */
    list_remove(&connection->node);
    work_queue(&thread->loop, &connection->freed);
    metric_add(&thread->metrics->connections, (uint64_t)-1);
    thread_give_place(thread);
}

/* What is still on its way to the backend, and that there is more to come, would look whole. */
static void reset_backend(const struct connection *connection)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(connection->backend.descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void log_end(const struct connection *connection, enum connection_end end)
{
    struct thread *thread = connection->thread;
    const char *name = connection->frontend->config->name;
    log_debug("frontend \"%s\": connection ended: %s%s", name, connection_end_names[end],
              connection->up.unclean && end != END_CLIENT_UNCLEAN ? ", client-unclean" : "");
    if (end == END_NO_DATA && thread_may_log(thread, LINE_NO_DATA))
        log_warning("frontend \"%s\": a client is cut off: too many records without data (key "
                    "updates, renegotiation, warnings)",
                    name);
}

void connection_end(struct connection *connection, enum connection_end end)
{
    bool complete = end == END_IDLE && buffer_length(&connection->up.pending) == 0 &&
                    buffer_length(&connection->down.pending) == 0;
    metric_add(&connection->thread->metrics->ends[end], 1);
    log_end(connection, end);
    if (complete && !connection->down.passed_on)
        SSL_shutdown(connection->ssl);
    else if (!complete && !connection->up.passed_on)
        reset_backend(connection);
    ERR_clear_error();
    connection_close(connection);
}

void connection_fail(struct connection *connection, enum handshake_result result)
{
    enum handshake_version version = handshake_version_of(connection->ssl);
    metric_add(&connection->thread->metrics->handshakes[version][result], 1);
    PROBE(immure_proxy, failed, connection, version, result);
    log_debug("frontend \"%s\": handshake %s (%s)", connection->frontend->config->name,
              handshake_result_names[result], handshake_version_names[version]);
    connection_close(connection);
}
