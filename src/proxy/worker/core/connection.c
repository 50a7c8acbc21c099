#include "proxy/worker/core/connection.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "proxy/worker/route/server_name.h"

/* A connection that has been served this often is not one of those that carry a single short
 * request, for which two more system calls would not pay. */
#define STEPS_TO_STAY 5

/* ---- the end ---- */

/* The struct is freed at the end of the turn. */
static void connection_close(struct connection *connection)
{
    struct connections *connections = connection->connections;
    if (connection->state == CONNECTION_CLOSED)
        return;
    if (connection->state < CONNECTION_CONNECT)
        metric_add(&connections->metrics->handshaking, (uint64_t)-1);
    PROBE(immure_proxy, closed, connection, connection->state);
    connection->state = CONNECTION_CLOSED;
    held_release(&connection->held);
    handshake_release(&connection->handshake);
    hello_release(&connection->hello);
    connection->client->kind->close(connection->client);
    search_end(&connection->search, connections->loop);
    client_bio_release(&connection->bio);
    relay_release(&connection->relay);
    timer_stop(connections->loop, &connection->timer);
    step_drop(&connection->step);
    list_remove(&connection->node);
    work_queue(connections->loop, &connection->freed);
    metric_add(&connections->metrics->connections, (uint64_t)-1);
    places_give(connections->places);
}

/* Ends a connection that is not established. */
static void connection_fail(struct connection *connection, enum handshake_result result)
{
    enum handshake_version version = handshake_version_of(connection->handshake.ssl);
    metric_add(&connection->connections->metrics->handshakes[version][result], 1);
    PROBE(immure_proxy, failed, connection, version, result);
    log_debug("frontend \"%s\": handshake %s (%s)", connection->route->name,
              handshake_result_names[result], handshake_version_names[version]);
    connection_close(connection);
}

static void handshake_expired(struct timer *timer)
{
    connection_fail(list_entry(timer, struct connection, timer), HANDSHAKE_TIMEOUT);
}

/* The client gets a reset and not an alert: it has cost too little for an answer of TLS. */
static void reset(struct connection *connection, enum handshake_result why)
{
    connection->client->kind->reset_at_close(connection->client);
    connection_fail(connection, why);
}

static void log_end(const struct connection *connection, enum connection_end end)
{
    struct connections *connections = connection->connections;
    const char *name = connection->route->name;
    log_debug("frontend \"%s\": connection ended: %s%s", name, connection_end_names[end],
              connection->relay.up.unclean && end != END_CLIENT_UNCLEAN ? ", client-unclean" : "");
    if (end == END_NO_DATA && log_due(&connections->no_data_logged, connections->loop->now))
        log_warning("frontend \"%s\": a client is cut off: too many records without data (key "
                    "updates, renegotiation, warnings)",
                    name);
}

/* Ends an established connection. */
static void connection_end(struct connection *connection, enum connection_end end)
{
    metric_add(&connection->connections->metrics->ends[end], 1);
    log_end(connection, end);
    relay_end(&connection->relay, end);
    connection_close(connection);
}

/* ---- established ---- */

/* From now on the loop looks at a long-lived connection between the steps of handshakes, too. */
static void look_often(struct connection *connection)
{
    if (connection->served < STEPS_TO_STAY && ++connection->served == STEPS_TO_STAY) {
        connection->client->kind->look_between(connection->client);
        watch_between(connection->connections->loop, &connection->search.server.watch);
    }
}

static void end_silent(struct timer *timer, enum connection_end end)
{
    struct connection *connection = list_entry(timer, struct connection, timer);
    metric_add(&connection->connections->metrics->idle_timeouts_total, 1);
    connection_end(connection, end);
}

static void idle_expired(struct timer *timer)
{
    end_silent(timer, END_IDLE);
}

static void half_close_expired(struct timer *timer)
{
    end_silent(timer, END_HALF_CLOSE);
}

static void restart_timer(struct connection *connection)
{
    const struct connections *connections = connection->connections;
    bool half_closed = relay_half_closed(&connection->relay);
    connection->timer.expired = half_closed ? half_close_expired : idle_expired;
    timer_start(connections->loop, &connection->timer,
                half_closed ? connections->half_close_timeout : connections->idle_timeout);
}

/* The server has reset the connection. If no byte has gone to it, nor come from it, another one is
 * tried. The client is not read from meanwhile. */
static bool try_another_server(struct connection *connection)
{
    struct transport *client = connection->client;
    if (connection->relay.end != END_BACKEND_FAILED || !relay_untouched(&connection->relay) ||
        !search_again(&connection->search, ECONNRESET))
        return false;
    connection->state = CONNECTION_CONNECT;
    timer_stop(connection->connections->loop, &connection->timer);
    step_drop(&connection->step);
    client->kind->want(client, false, false);
    return true;
}

static void serve(struct connection *connection)
{
    enum relay_progress progress = relay_serve(&connection->relay);
    if (progress == RELAY_OVER) {
        if (!try_another_server(connection))
            connection_end(connection, connection->relay.end);
        return;
    }
    look_often(connection);
    restart_timer(connection);
    if (progress == RELAY_MORE)
        step_queue(connection->connections->turn, STEP_BEHIND, &connection->step);
}

/* Until now the flow to the server holds the TLVs that may be passed on; the header replaces them
 * and contains them, if this backend gets them. */
static bool put_proxy_header(struct connection *connection)
{
    const struct pool *pool = connection->route->pool;
    static_assert(RELAY_SCRATCH >= PROXY_HEADER_MADE_MAX, "the header is made there");
    struct buffer *pending = &connection->relay.up.pending;
    uint8_t *header = connection->connections->relays.scratch;
    SSL *ssl = connection->handshake.ssl;
    const struct proxy_tlvs passed = {buffer_bytes(pending),
                                      pool->proxy_tlvs ? buffer_length(pending) : 0};
    size_t length = 0;
    if (pool->proxy_protocol != PROXY_PROTOCOL_NONE)
        length = proxy_header_make(header, pool->proxy_protocol, &connection->addresses,
                                   connection->hello.passed ? NULL : ssl,
                                   pool->proxy_client_certificate, server_name_of(ssl), &passed);
    buffer_release(pending);
    return length == 0 || buffer_append(pending, header, length);
}

/* What libssl has read is the beginning of the stream, and libssl is no longer needed. */
static bool put_kept(struct connection *connection)
{
    struct buffer *kept = &connection->bio.kept;
    if (!connection->hello.passed)
        return true;
    handshake_release(&connection->handshake);
    bool good =
        buffer_append(&connection->relay.up.pending, buffer_bytes(kept), buffer_length(kept));
    client_bio_forget(&connection->bio);
    return good;
}

/* What the server gets before the bytes that the client is yet to send. */
static bool prepare(struct connection *connection)
{
    if (!connection->prepared)
        connection->prepared = put_proxy_header(connection) && put_kept(connection);
    return connection->prepared;
}

static void connected(struct search *search, int cause)
{
    struct connection *connection = list_entry(search, struct connection, search);
    if (cause != 0 || !prepare(connection)) {
        connection_end(connection, cause != 0 ? END_BACKEND_FAILED : END_NO_MEMORY);
        return;
    }
    connection->state = CONNECTION_RELAY;
    serve(connection);
    if (connection->state == CONNECTION_RELAY && !connection->relay.up.begun)
        connect_acknowledge(&search->server);
}

/* A hash of the client's address without its port. */
static uint64_t source_of(const struct connection *connection)
{
    const struct sockaddr_storage source = address_unmapped(&connection->addresses.source);
    if (source.ss_family == AF_INET)
        return chooser_hash(&((const struct sockaddr_in *)&source)->sin_addr,
                            sizeof(struct in_addr));
    if (source.ss_family == AF_INET6)
        return chooser_hash(&((const struct sockaddr_in6 *)&source)->sin6_addr,
                            sizeof(struct in6_addr));
    return 0;
}

static void established(struct connection *connection)
{
    struct proxy_addresses *addresses = &connection->addresses;
    connection->route = &connection->connections->routes[connection->hello.choice->route];
    hello_release(&connection->hello);
    struct pool *pool = connection->route->pool;
    metric_add(&connection->connections->metrics->handshaking, (uint64_t)-1);
    connection->state = CONNECTION_CONNECT;
    relay_begin(&connection->relay, connection->hello.passed ? NULL : connection->handshake.ssl,
                &connection->bio, &connection->search.server);
    /* The header names the address that the client connected to. It is asked for only if no header
     * from a load balancer has given it. */
    if (pool->proxy_protocol != PROXY_PROTOCOL_NONE &&
        addresses->destination.ss_family == AF_UNSPEC)
        connection->client->kind->local_address(connection->client, &addresses->destination);
    search_begin(&connection->search, pool, source_of(connection));
    if (connection->state == CONNECTION_CONNECT)
        timer_stop(connection->connections->loop, &connection->timer);
}

/* ---- before that ---- */

/* Fails a client that has gone. If all that it has sent is an alert, it counts as a failed
 * handshake and not as an aborted one. */
static void give_up(struct connection *connection)
{
    uint8_t type;
    bool alert = connection->handshake.ssl == NULL &&
                 connection->client->kind->peek(connection->client, &type, 1) == 1 &&
                 type == SSL3_RT_ALERT;
    connection_fail(connection, alert ? HANDSHAKE_FAILED : HANDSHAKE_ABORTED);
}

/* Bytes of a client have come whose handshake may go on. */
static void queue_handshake(struct connection *connection)
{
    if (connection->handshake.ssl == NULL && connection->state == CONNECTION_HANDSHAKE &&
        held_begin(&connection->held))
        return;
    step_queue(connection->connections->turn, STEP_BEGIN, &connection->step);
}

static void shed(struct held *held)
{
    reset(list_entry(held, struct connection, held), HANDSHAKE_SHED);
}

static bool hold_signature(struct hello *hello)
{
    return handshake_hold_signature(&list_entry(hello, struct connection, hello)->handshake);
}

/* The header names the client. */
static void header_read(struct connection *connection)
{
    connection->state = CONNECTION_HANDSHAKE;
    if (admission_enter(connection->connections->admission, &connection->held.visit,
                        &connection->addresses.source))
        queue_handshake(connection);
    else
        reset(connection, HANDSHAKE_LIMITED);
}

static void read_proxy_header(struct connection *connection)
{
    struct connections *connections = connection->connections;
    switch (accept_proxy_read(&connections->accept_proxy, connection->client, connection->route,
                              &connection->relay.up.pending, &connection->addresses,
                              connections->loop->now)) {
    case ACCEPT_PROXY_DONE:
        header_read(connection);
        break;
    case ACCEPT_PROXY_MORE:
        break;
    case ACCEPT_PROXY_GONE:
        connection_fail(connection, HANDSHAKE_ABORTED);
        break;
    case ACCEPT_PROXY_BAD:
        connection_fail(connection, HANDSHAKE_FAILED);
        break;
    }
}

/* The time that it takes is charged to the client's source. */
static bool make_step(struct connection *connection)
{
    struct admission *admission = connection->connections->admission;
    uint64_t begun = connection->connections->loop->now;
    if (connection->handshake.ssl == NULL)
        admission_begin(admission, &connection->held.visit);
    bool over = handshake_step(&connection->handshake);
    admission_charge(admission, &connection->held.visit, clock_now() - begun);
    return over;
}

static void go_on_with_handshake(struct connection *connection)
{
    struct connections *connections = connection->connections;
    struct handshake *handshake = &connection->handshake;
    if (!make_step(connection)) {
        if (handshake->wants_write)
            connection->client->kind->want(connection->client, true, true);
        return;
    }
    if (handshake->result == HANDSHAKE_FULL || handshake->result == HANDSHAKE_RESUMED ||
        handshake->result == HANDSHAKE_PASSED) {
        established(connection);
        return;
    }
    if (connection->bio.proxy_header != PROXY_PROTOCOL_NONE)
        accept_proxy_unwanted(&connections->accept_proxy, connection->route, &connection->addresses,
                              connection->bio.proxy_header, connections->loop->now);
    connection_fail(connection, handshake->result);
}

/* ---- events ---- */

static void connection_step(struct step *step)
{
    struct connection *connection = list_entry(step, struct connection, step);
    switch (connection->state) {
    case CONNECTION_PROXY_HEADER:
    case CONNECTION_HANDSHAKE:
        if (connection->gone)
            give_up(connection);
        else if (connection->state == CONNECTION_PROXY_HEADER)
            read_proxy_header(connection);
        else
            go_on_with_handshake(connection);
        break;
    case CONNECTION_CONNECT:
        search_step(&connection->search);
        break;
    case CONNECTION_RELAY:
        serve(connection);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

/*
 * A client that has gone needs no signature and no key exchange. A FIN alone means that it has
 * gone, too, as long as the server's flight has not been sent. After that the FIN may follow the
 * client's last flight, with a request and a close_notify in between.
 */
static bool has_gone(const struct connection *connection, unsigned events)
{
    return (events & TRANSPORT_GONE) ||
           ((events & TRANSPORT_ENDED) && !connection->bio.flight_sent);
}

static void handshake_ready(struct connection *connection, unsigned events)
{
    struct turn *turn = connection->connections->turn;
    connection->bio.hung_up |= (events & TRANSPORT_ENDED) != 0;
    connection->gone |= has_gone(connection, events);
    if (connection->gone) {
        step_drop(&connection->step); /* it may be queued as STEP_BEGIN */
        step_queue(turn, STEP_FINISH, &connection->step);
    } else if (!wait_pending(&connection->handshake.wait) &&
               !admission_holds(&connection->held.visit)) {
        queue_handshake(connection);
    }
}

static void client_ready(struct transport *client, unsigned events)
{
    struct connection *connection = list_entry(client, struct connection, client);
    connection->bio.dry = false;
    if (connection->state < CONNECTION_CONNECT) {
        handshake_ready(connection, events);
    } else if (connection->state == CONNECTION_RELAY) {
        relay_note_client(&connection->relay, events);
        step_queue_established(connection->connections->turn, &connection->step);
    }
    /* In CONNECT nothing is read from the client until the server is connected. */
}

static void server_ready(struct watch *watch, uint32_t events)
{
    struct connection *connection = list_entry(watch, struct connection, search.server.watch);
    relay_note_server(&connection->relay, events);
    step_queue_established(connection->connections->turn, &connection->step);
}

/* ---- the beginning ---- */

static void count_in(struct connection *connection)
{
    struct connections *connections = connection->connections;
    list_append(&connections->open, &connection->node);
    metric_add(&connections->metrics->accepted_total, 1);
    metric_add(&connections->metrics->handshaking, 1);
    metric_add(&connections->metrics->connections, 1);
}

static void free_closed(struct work *work)
{
    free(list_entry(work, struct connection, freed));
}

void connection_open(struct connections *connections, const struct route *route,
                     const struct transport_kind *transport, int descriptor,
                     const struct sockaddr_storage *peer)
{
    struct loop *loop = connections->loop;
    struct visit visit = {.exempt =
                              true}; /* until the header of a load balancer names the client */
    if (route->accept_proxy == PROXY_PROTOCOL_NONE &&
        !admission_enter(connections->admission, &visit, peer)) {
        connection_refuse(connections, transport, descriptor, HANDSHAKE_LIMITED);
        return;
    }
    struct connection *connection = calloc(1, sizeof *connection + transport->size);
    if (connection == NULL) {
        log_warning("no memory for a connection; it is closed");
        admission_leave(connections->admission, &visit);
        (void)close(descriptor);
        places_give(connections->places);
        return;
    }
    connection->connections = connections;
    connection->route = route;
    connection->held.visit = visit;
    connection->state =
        route->accept_proxy != PROXY_PROTOCOL_NONE ? CONNECTION_PROXY_HEADER : CONNECTION_HANDSHAKE;
    connection->addresses.source = *peer;
    *connection->client =
        (struct transport){.kind = transport, .loop = loop, .ready = client_ready};
    step_init(&connection->step, connection_step);
    held_init(&connection->held, connections->admission, &connection->step, shed);
    timer_init(&connection->timer, handshake_expired);
    work_init(&connection->freed, free_closed);
    client_bio_init(&connection->bio, connection->client, &connections->spare_ahead);
    connection->hello = (struct hello){.frontend = route->frontend,
                                       .transport = connection->client,
                                       .addresses = &connection->addresses,
                                       .hold_signature = hold_signature};
    handshake_init(&connection->handshake, &connections->handshakes, &connection->hello,
                   &connection->bio, &connection->step, &connection->held, connection,
                   loop->now + connections->handshake_timeout);
    search_init(&connection->search, server_ready, connected);
    relay_init(&connection->relay, &connections->relays);
    count_in(connection);
    transport->open(connection->client, descriptor);
    transport->want(connection->client, true, false);
    timer_start(loop, &connection->timer, connections->handshake_timeout);
    admission_charge(connections->admission, &connection->held.visit, clock_now() - loop->now);
    PROBE(immure_proxy, accepted, connection, descriptor);
}

void connection_refuse(struct connections *connections, const struct transport_kind *transport,
                       int descriptor, enum handshake_result why)
{
    metric_add(&connections->metrics->accepted_total, 1);
    metric_add(&connections->metrics->handshakes[VERSION_NONE][why], 1);
    transport->refuse(descriptor);
    places_give(connections->places);
}

void connections_init(struct connections *connections, const BIO_METHOD *client_bio)
{
    list_init(&connections->open);
    connections->loop = connections->turn->loop;
    connections->handshakes.waits.turn = connections->turn;
    waits_init(&connections->handshakes.waits, &connections->places->heap);
    connections->handshakes.metrics = connections->metrics;
    connections->handshakes.client_bio = client_bio;
    connections->relays.loop = connections->loop;
    connections->relays.metrics = connections->metrics;
    connections->accept_proxy.scratch = connections->relays.scratch;
    connections->spare_ahead = BUFFER_INIT(CLIENT_AHEAD);
}

void connections_release(struct connections *connections)
{
    buffer_release(&connections->spare_ahead);
}

bool connections_cut(struct connections *connections, size_t most)
{
    for (size_t i = 0; i < most && !list_empty(&connections->open); i++) {
        struct connection *connection = list_entry(connections->open.next, struct connection, node);
        if (connection->state < CONNECTION_CONNECT)
            connection_close(connection);
        else
            connection_end(connection, END_DRAIN);
    }
    return !list_empty(&connections->open);
}
