#include "proxy/worker/relay/relay.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/worker/core/thread.h"

#define RECORD_SIZE SSL3_RT_MAX_PLAIN_LENGTH
/*
 * Records without data (key updates, attempts to renegotiate, warnings, empty ones) that a client
 * may send beyond those with data. They are work for libssl and nobody else: who needs a key update
 * needs one in gigabytes.
 */
#define IDLE_RECORDS_MAX 32

#define CONNECT_NEXT NS_PER_S /* for an address behind which there are others */
#define RECONNECT_PAUSE (10 * NS_PER_MS)

/* Who has been served so often is no short request and close; those are not worth two system calls
 * more. */
#define STEPS_TO_STAY 5

/* What became of an attempt to move bytes. */
enum moved {
    MOVED_ALL,     /* as far as there was anything */
    MOVED_BLOCKED, /* the destination takes no more for now */
    MOVED_BROKEN   /* the connection cannot go on: connection->end says why */
};

static enum moved broken(struct connection *connection, enum connection_end end)
{
    connection->end = end;
    return MOVED_BROKEN;
}

/* ---- client to backend ---- */

static enum moved send_up(struct connection *connection, const uint8_t *bytes, size_t length,
                          size_t *sent)
{
    *sent = 0;
    while (*sent < length) {
        ssize_t count = send(connection->backend.descriptor, bytes + *sent, length - *sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            return MOVED_BLOCKED;
        if (count < 0) {
            /* It reads no more, but what it has said so far is still to be carried down. */
            connection->up.refused = true;
            connection->down.failed = errno != EPIPE;
            *sent = length;
            return MOVED_ALL;
        }
        *sent += (size_t)count;
        connection->up.begun = true;
        metric_add(&connection->thread->metrics->bytes_in_total, (uint64_t)count);
    }
    return MOVED_ALL;
}

/* How the client's direction has ended: with close_notify, or with a FIN alone. */
static void note_end(struct connection *connection)
{
    connection->up.ended = true;
    connection->up.unclean = connection->input.ended;
}

/* One record at most. */
static enum moved read_client(struct connection *connection, uint8_t *bytes, size_t *length)
{
    struct client_input *input = &connection->input;
    unsigned records = input->records;
    *length = 0;
    connection->read_wants_write = false;
    ERR_clear_error();
    int result = SSL_read_ex(connection->ssl, bytes, RECORD_SIZE, length);
    records = input->records - records;
    if (result == 1) {
        /* The record with data; there is none if its header was read in the step before. */
        connection->idle_records += records;
        connection->idle_records -= connection->idle_records > 1 ? 2 : connection->idle_records;
        return MOVED_ALL;
    }
    connection->idle_records += records;
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return MOVED_ALL;
    case SSL_ERROR_WANT_WRITE:
        connection->read_wants_write = true;
        return MOVED_BLOCKED;
    case SSL_ERROR_ZERO_RETURN:
        note_end(connection);
        return MOVED_ALL;
    default:
        ERR_clear_error();
        return broken(connection, END_CLIENT_FAILED);
    }
}

static enum moved flush_up(struct connection *connection)
{
    struct buffer *pending = &connection->up.pending;
    size_t sent;
    enum moved moved = send_up(connection, buffer_bytes(pending), buffer_length(pending), &sent);
    buffer_consume(pending, sent);
    if (moved == MOVED_ALL)
        buffer_release(pending);
    return moved;
}

/* As much as a step may use and the scratch buffer takes, records of whatever size together. */
static enum moved gather(struct connection *connection, size_t *gathered)
{
    struct client_input *input = &connection->input;
    uint8_t *bytes = connection->thread->scratch;
    enum moved moved = MOVED_ALL;
    *gathered = 0;
    while (moved == MOVED_ALL && !input->stopped && !connection->up.ended &&
           *gathered + RECORD_SIZE <= SCRATCH_SIZE) {
        size_t length;
        moved = read_client(connection, bytes + *gathered, &length);
        *gathered += length;
    }
    if (moved == MOVED_ALL && connection->idle_records > IDLE_RECORDS_MAX)
        return broken(connection, END_NO_DATA);
    return moved;
}

static enum moved move_up(struct connection *connection)
{
    struct flow *up = &connection->up;
    const uint8_t *bytes = connection->thread->scratch;
    size_t gathered, sent = 0;
    if (buffer_length(&up->pending) > 0 && flush_up(connection) != MOVED_ALL)
        return MOVED_BLOCKED;
    if (up->ended || (!connection->client_event && !connection->more_up))
        return MOVED_ALL;
    client_bio_enter(connection);
    enum moved moved = gather(connection, &gathered);
    connection->more_up = client_bio_leave(connection) && !up->ended;
    if (moved == MOVED_BROKEN)
        return MOVED_BROKEN;
    if (gathered == 0 || up->refused || send_up(connection, bytes, gathered, &sent) == MOVED_ALL)
        return MOVED_ALL;
    return buffer_append(&up->pending, bytes + sent, gathered - sent)
               ? MOVED_BLOCKED
               : broken(connection, END_NO_MEMORY);
}

static void pass_on_end_up(struct connection *connection)
{
    struct flow *up = &connection->up;
    if (up->ended && !up->passed_on && buffer_length(&up->pending) == 0) {
        if (!connection->down.passed_on) /* else close() says it */
            shutdown(connection->backend.descriptor, SHUT_WR);
        up->passed_on = true;
    }
}

/* ---- backend to client ---- */

static enum moved write_client(struct connection *connection, const uint8_t *bytes, size_t length,
                               size_t *sent)
{
    *sent = 0;
    connection->write_wants_read = false;
    while (*sent < length) {
        size_t count = 0;
        connection->more_down = length - *sent > RECORD_SIZE;
        ERR_clear_error();
        int result = SSL_write_ex(connection->ssl, bytes + *sent, length - *sent, &count);
        if (result != 1) {
            int error = SSL_get_error(connection->ssl, result);
            connection->write_wants_read = error == SSL_ERROR_WANT_READ;
            if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
                return MOVED_BLOCKED;
            ERR_clear_error();
            return broken(connection, END_CLIENT_FAILED);
        }
        *sent += count;
        metric_add(&connection->thread->metrics->bytes_out_total, count);
    }
    return MOVED_ALL;
}

static enum moved flush_down(struct connection *connection)
{
    struct buffer *pending = &connection->down.pending;
    size_t sent;
    enum moved moved =
        write_client(connection, buffer_bytes(pending), buffer_length(pending), &sent);
    buffer_consume(pending, sent);
    if (moved == MOVED_ALL)
        buffer_release(pending);
    return moved;
}

static enum moved read_backend(struct connection *connection, size_t *length)
{
    struct flow *down = &connection->down;
    ssize_t got = recv(connection->backend.descriptor, connection->thread->scratch, SCRATCH_SIZE,
                       MSG_DONTWAIT);
    *length = got > 0 ? (size_t)got : 0;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? MOVED_ALL
                                                 : broken(connection, END_BACKEND_FAILED);
    if (got == 0 && down->failed)
        return broken(connection, END_BACKEND_FAILED);
    down->ended = got == 0;
    return MOVED_ALL;
}

static enum moved move_down(struct connection *connection)
{
    struct flow *down = &connection->down;
    const uint8_t *bytes = connection->thread->scratch;
    size_t length, sent;
    if (buffer_length(&down->pending) > 0) {
        enum moved moved = flush_down(connection);
        if (moved != MOVED_ALL)
            return moved;
    }
    if (!connection->backend_event || down->ended)
        return MOVED_ALL;
    if (read_backend(connection, &length) == MOVED_BROKEN)
        return MOVED_BROKEN;
    enum moved moved = write_client(connection, bytes, length, &sent);
    if (moved == MOVED_BLOCKED && !buffer_append(&down->pending, bytes + sent, length - sent))
        return broken(connection, END_NO_MEMORY);
    return moved;
}

static void pass_on_end_down(struct connection *connection)
{
    struct flow *down = &connection->down;
    if (!down->ended || down->passed_on || buffer_length(&down->pending) > 0)
        return;
    ERR_clear_error();
    int result = SSL_shutdown(connection->ssl);
    if (result < 0 && SSL_get_error(connection->ssl, result) == SSL_ERROR_WANT_WRITE)
        return;
    ERR_clear_error();
    if (!connection->up.passed_on) /* else close() says it */
        shutdown(connection->client.descriptor, SHUT_WR);
    down->passed_on = true;
}

/* ---- both ---- */

static void want_events(struct connection *connection)
{
    struct loop *loop = &connection->thread->loop;
    const struct flow *up = &connection->up, *down = &connection->down;
    bool up_waits = buffer_length(&up->pending) > 0;
    bool down_waits = buffer_length(&down->pending) > 0 || (down->ended && !down->passed_on);
    bool read_client_ = (!up->ended && !up_waits) || connection->write_wants_read;
    bool write_client_ =
        (down_waits && !connection->write_wants_read) || connection->read_wants_write;
    bool read_backend = !down->ended && !down_waits;
    watch_want(loop, &connection->client,
               (read_client_ ? EPOLLIN | EPOLLRDHUP : 0) | (write_client_ ? EPOLLOUT : 0));
    watch_want(loop, &connection->backend,
               (read_backend ? EPOLLIN : 0) | (up_waits ? EPOLLOUT : 0));
}

/* A connection that stays is looked at between handshakes' steps. */
static void look_often(struct connection *connection)
{
    struct loop *loop = &connection->thread->loop;
    if (connection->served < STEPS_TO_STAY && ++connection->served == STEPS_TO_STAY) {
        watch_between(loop, &connection->client);
        watch_between(loop, &connection->backend);
    }
}

static void start_timer(struct connection *connection, void (*expired)(struct timer *timer),
                        uint64_t duration)
{
    connection->timer.expired = expired;
    timer_start(&connection->thread->loop, &connection->timer, duration);
}

static void end_silent(struct timer *timer, enum connection_end end)
{
    struct connection *connection = list_entry(timer, struct connection, timer);
    metric_add(&connection->thread->metrics->idle_timeouts_total, 1);
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
    const struct config *config = connection->thread->config;
    if (connection->up.ended || connection->down.ended)
        start_timer(connection, half_close_expired, config->half_close_timeout);
    else
        start_timer(connection, idle_expired, config->idle_timeout);
}

void relay_serve(struct connection *connection)
{
    enum moved up = move_up(connection), down = MOVED_ALL;
    if (up != MOVED_BROKEN)
        down = move_down(connection);
    connection->client_event = connection->backend_event = false;
    if (up == MOVED_BROKEN || down == MOVED_BROKEN) {
        connection_end(connection, connection->end);
        return;
    }
    pass_on_end_up(connection);
    pass_on_end_down(connection);
    if (connection->up.passed_on && connection->down.passed_on) {
        connection_end(connection, connection->up.unclean ? END_CLIENT_UNCLEAN : END_CLEAN);
        return;
    }
    want_events(connection);
    look_often(connection);
    restart_timer(connection);
    if (connection->more_up && up == MOVED_ALL && !connection->read_wants_write)
        step_queue(&connection->thread->turn, STEP_BEHIND, &connection->step);
}

/* `cause` is an errno. */
static void backend_failed(struct connection *connection, int cause)
{
    struct thread *thread = connection->thread;
    const struct backend_config *backend = connection_backend(connection);
    metric_add(&thread->metrics->backend_errors_total, 1);
    if (thread_may_log(thread, LINE_BACKEND_ERROR))
        log_warning("backend \"%s\" (%s): %s", backend->name, backend->address.text,
                    strerror(cause));
    connection_end(connection, END_BACKEND_FAILED);
}

static void set_tcp_option(const struct connection *connection, int option, int value)
{
    if (connection->backend_is_tcp)
        setsockopt(connection->backend.descriptor, IPPROTO_TCP, option, &value, sizeof value);
}

/* The flow to the backend has the TLVs that go on, and now the header that they are in. */
static bool put_proxy_header(struct connection *connection, enum proxy_protocol version)
{
    static_assert(SCRATCH_SIZE >= PROXY_HEADER_MADE_MAX, "the header is made there");
    struct buffer *pending = &connection->up.pending;
    uint8_t *header = connection->thread->scratch;
    const struct proxy_tlvs passed = {buffer_bytes(pending), buffer_length(pending)};
    size_t length =
        proxy_header_make(header, version, &connection->addresses, connection->ssl, &passed);
    buffer_release(pending);
    return buffer_append(pending, header, length);
}

static void begin_relay(struct connection *connection)
{
    const struct backend_config *backend = connection_backend(connection);
    connection->state = CONNECTION_RELAY;
    if (backend->proxy_protocol != PROXY_PROTOCOL_NONE &&
        !put_proxy_header(connection, backend->proxy_protocol)) {
        backend_failed(connection, ENOMEM);
        return;
    }
    relay_serve(connection);
    if (connection->state == CONNECTION_RELAY && !connection->up.begun)
        set_tcp_option(connection, TCP_QUICKACK, 1); /* the backend may be the one to begin */
}

/* The address that the client connected to, for the PROXY header, unless one before us told it. */
static void complete_addresses(struct connection *connection)
{
    struct proxy_addresses *addresses = &connection->addresses;
    socklen_t length = sizeof addresses->destination;
    if (addresses->destination.ss_family == AF_UNSPEC &&
        getsockname(connection->client.descriptor, (struct sockaddr *)&addresses->destination,
                    &length) != 0)
        addresses->destination.ss_family = AF_UNSPEC;
}

/* On the loopback the connection is there (or refused) before connect() returns, though it says
 * EINPROGRESS; asking once more saves four epoll_ctl() and a turn. False with errno. */
static bool connected(int descriptor, const struct sockaddr *address, socklen_t length)
{
    if (connect(descriptor, address, length) == 0)
        return true;
    return errno == EINPROGRESS && (connect(descriptor, address, length) == 0 || errno == EISCONN);
}

static const struct server_addresses *servers_of(const struct connection *connection)
{
    return &connection->thread->servers[connection->frontend->config->backend];
}

static void connect_next(struct connection *connection, int cause);
static void connect_again(struct timer *timer);

static void connect_expired(struct timer *timer)
{
    backend_failed(list_entry(timer, struct connection, timer), ETIMEDOUT);
}

/* The server at one address does not answer, and there are others. */
static void connect_next_expired(struct timer *timer)
{
    connect_next(list_entry(timer, struct connection, timer), ETIMEDOUT);
}

static void wait_for_server(struct connection *connection)
{
    bool last = connection->server >= servers_of(connection)->count;
    uint64_t limit = connection->thread->config->connect_timeout;
    watch_want(&connection->thread->loop, &connection->backend, EPOLLOUT);
    if (last)
        start_timer(connection, connect_expired, limit);
    else
        start_timer(connection, connect_next_expired, limit < CONNECT_NEXT ? limit : CONNECT_NEXT);
}

/* To the server that connection->server has been counted to. False with errno. */
static bool connect_server(struct connection *connection)
{
    const struct server_address *server = &servers_of(connection)->of[connection->server - 1];
    if (connected(connection->backend.descriptor, (const struct sockaddr *)&server->socket,
                  server->length)) {
        begin_relay(connection);
    } else if (errno == EINPROGRESS || errno == EALREADY) {
        wait_for_server(connection);
    } else if (errno == EAGAIN && !connection->backend_is_tcp &&
               connection->thread->loop.now < connection->connect_deadline) {
        /* the backlog of a unix socket is full, and no event tells of room in it */
        start_timer(connection, connect_again, RECONNECT_PAUSE);
    } else {
        return false;
    }
    return true;
}

static bool open_server(struct connection *connection, const struct server_address *server)
{
    int descriptor =
        socket(server->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    watch_open(&connection->backend, descriptor, WATCH_LEVEL);
    connection->backend_is_tcp = server->socket.ss_family != AF_UNIX;
    set_tcp_option(connection, TCP_NODELAY, 1);
    /* The last of the three segments that open the connection waits for what the client has sent,
     * which mostly is there: HAProxy has it as tcp-smart-connect. */
    set_tcp_option(connection, TCP_QUICKACK, 0);
    return true;
}

/* All addresses in order, until one is there or under way. `cause`: why the one before is not. */
static void connect_next(struct connection *connection, int cause)
{
    const struct server_addresses *servers = servers_of(connection);
    while (connection->server < servers->count) {
        watch_close(&connection->thread->loop, &connection->backend);
        if (open_server(connection, &servers->of[connection->server++]) &&
            connect_server(connection))
            return;
        cause = errno == EAGAIN ? ETIMEDOUT : errno;
    }
    backend_failed(connection, cause);
}

void relay_connected(struct connection *connection)
{
    int cause = 0;
    socklen_t length = sizeof cause;
    getsockopt(connection->backend.descriptor, SOL_SOCKET, SO_ERROR, &cause, &length);
    if (cause != 0)
        connect_next(connection, cause);
    else
        begin_relay(connection);
}

static void connect_again(struct timer *timer)
{
    struct connection *connection = list_entry(timer, struct connection, timer);
    if (!connect_server(connection))
        connect_next(connection, errno == EAGAIN ? ETIMEDOUT : errno);
}

void relay_connect(struct connection *connection)
{
    const struct loop *loop = &connection->thread->loop;
    connection->state = CONNECTION_CONNECT;
    connection->more_up = buffer_length(&connection->input.ahead) > 0;
    connection->connect_deadline = loop->now + connection->thread->config->connect_timeout;
    SSL_set_options(connection->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF); /* note_end() tells it apart */
    watch_level(&connection->client);
    if (connection_backend(connection)->proxy_protocol != PROXY_PROTOCOL_NONE)
        complete_addresses(connection);
    connect_next(connection, EHOSTUNREACH);
}
