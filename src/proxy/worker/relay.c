#include "proxy/worker/relay.h"

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
#include "proxy/worker/thread.h"

/* Of one connection in one turn, so that a bulk transfer does not keep the others waiting. */
#define READS_PER_TURN 4
#define RECORD_SIZE 16384
#define ERROR_LOG_PAUSE NS_PER_S

/* What became of an attempt to move bytes. */
enum moved {
    MOVED_ALL,     /* as far as there was anything */
    MOVED_BLOCKED, /* the destination takes no more for now */
    MOVED_BROKEN   /* the connection cannot go on */
};

static const struct backend_config *backend_of(const struct connection *connection)
{
    return &connection->thread->config->backends[connection->frontend->config->backend];
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
            *sent = length;
            return MOVED_ALL;
        }
        *sent += (size_t)count;
        connection->up.begun = true;
        metric_add(&connection->thread->metrics->bytes_in_total, (uint64_t)count);
    }
    return MOVED_ALL;
}

static enum moved read_client(struct connection *connection, uint8_t *bytes, size_t *length)
{
    size_t count = 0;
    *length = 0;
    connection->read_wants_write = false;
    ERR_clear_error();
    int result = SSL_read_ex(connection->ssl, bytes, RECORD_SIZE, &count);
    if (result == 1) {
        *length = count;
        return MOVED_ALL;
    }
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return MOVED_ALL;
    case SSL_ERROR_WANT_WRITE:
        connection->read_wants_write = true;
        return MOVED_ALL;
    case SSL_ERROR_ZERO_RETURN:
        connection->up.ended = true;
        return MOVED_ALL;
    default: /* a FIN without close_notify too: passing it on as an end would hide a truncation */
        ERR_clear_error();
        return MOVED_BROKEN;
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

static enum moved move_up(struct connection *connection, bool readable)
{
    struct flow *up = &connection->up;
    uint8_t *bytes = connection->thread->scratch;
    if (buffer_length(&up->pending) > 0 && flush_up(connection) != MOVED_ALL)
        return MOVED_BLOCKED;
    /* No event tells of what libssl has read ahead, so that is always taken. */
    readable = readable || SSL_has_pending(connection->ssl);
    SSL_set_read_ahead(connection->ssl, 1);
    for (int i = 0; readable && !up->ended; i++) {
        size_t length, sent = 0;
        if (i == READS_PER_TURN)
            SSL_set_read_ahead(connection->ssl, 0); /* up to the end of this record */
        if (i >= READS_PER_TURN && !SSL_has_pending(connection->ssl))
            break;
        if (read_client(connection, bytes, &length) != MOVED_ALL)
            return MOVED_BROKEN;
        if (length == 0)
            break;
        if (!up->refused && send_up(connection, bytes, length, &sent) == MOVED_BLOCKED)
            return buffer_append(&up->pending, bytes + sent, length - sent) ? MOVED_BLOCKED
                                                                            : MOVED_BROKEN;
        if (length < RECORD_SIZE && !SSL_has_pending(connection->ssl))
            break; /* what is still in the socket comes with the next event */
    }
    return MOVED_ALL;
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
        ERR_clear_error();
        int result = SSL_write_ex(connection->ssl, bytes + *sent, length - *sent, &count);
        if (result != 1) {
            int error = SSL_get_error(connection->ssl, result);
            connection->write_wants_read = error == SSL_ERROR_WANT_READ;
            if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
                return MOVED_BLOCKED;
            ERR_clear_error();
            return MOVED_BROKEN;
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

static enum moved move_down(struct connection *connection, bool readable)
{
    struct flow *down = &connection->down;
    uint8_t *bytes = connection->thread->scratch;
    if (buffer_length(&down->pending) > 0) {
        enum moved moved = flush_down(connection);
        if (moved != MOVED_ALL)
            return moved;
    }
    if (!readable || down->ended)
        return MOVED_ALL;
    ssize_t length = recv(connection->backend.descriptor, bytes, SCRATCH_SIZE, MSG_DONTWAIT);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? MOVED_ALL : MOVED_BROKEN;
    if (length == 0) {
        down->ended = true;
        return MOVED_ALL;
    }
    size_t sent;
    enum moved moved = write_client(connection, bytes, (size_t)length, &sent);
    if (moved == MOVED_BLOCKED &&
        !buffer_append(&down->pending, bytes + sent, (size_t)length - sent))
        return MOVED_BROKEN;
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

static void restart_timer(struct connection *connection)
{
    bool half_closed = connection->up.ended || connection->down.ended;
    struct loop *loop = &connection->thread->loop;
    timer_start(&loop->timers[half_closed ? TIMER_HALF_CLOSE : TIMER_IDLE], &connection->timer,
                loop->now);
}

void relay_serve(struct connection *connection, bool client_readable, bool backend_readable)
{
    if (move_up(connection, client_readable) == MOVED_BROKEN ||
        move_down(connection, backend_readable) == MOVED_BROKEN) {
        connection_close(connection);
        return;
    }
    pass_on_end_up(connection);
    pass_on_end_down(connection);
    if (connection->up.passed_on && connection->down.passed_on) {
        connection_close(connection);
        return;
    }
    want_events(connection);
    restart_timer(connection);
}

void relay_backend_failed(struct connection *connection, int cause)
{
    struct thread *thread = connection->thread;
    const struct backend_config *backend = backend_of(connection);
    metric_add(&thread->metrics->backend_errors_total, 1);
    if (thread->loop.now - thread->backend_error_logged > ERROR_LOG_PAUSE) {
        thread->backend_error_logged = thread->loop.now;
        log_warning("backend \"%s\" (%s): %s", backend->name, backend->address.text,
                    strerror(cause));
    }
    SSL_shutdown(connection->ssl);
    ERR_clear_error();
    connection_close(connection);
}

static void set_tcp_option(const struct connection *connection, int option, int value)
{
    if (backend_of(connection)->address.socket.ss_family != AF_UNIX)
        setsockopt(connection->backend.descriptor, IPPROTO_TCP, option, &value, sizeof value);
}

static void begin_relay(struct connection *connection)
{
    const struct backend_config *backend = backend_of(connection);
    connection->state = CONNECTION_RELAY;
    if (backend->proxy_protocol != PROXY_PROTOCOL_NONE) {
        uint8_t *room = buffer_reserve(&connection->up.pending, PROXY_HEADER_MAX);
        if (room == NULL) {
            relay_backend_failed(connection, ENOMEM);
            return;
        }
        buffer_commit(&connection->up.pending,
                      proxy_header_make(room, backend->proxy_protocol, &connection->addresses,
                                        connection->ssl));
    }
    relay_serve(connection, false, false);
    if (connection->state == CONNECTION_RELAY && !connection->up.begun)
        set_tcp_option(connection, TCP_QUICKACK, 1); /* the backend may be the one to begin */
}

void relay_connected(struct connection *connection)
{
    int cause = 0;
    socklen_t length = sizeof cause;
    getsockopt(connection->backend.descriptor, SOL_SOCKET, SO_ERROR, &cause, &length);
    if (cause != 0)
        relay_backend_failed(connection, cause);
    else
        begin_relay(connection);
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

void relay_connect(struct connection *connection)
{
    struct loop *loop = &connection->thread->loop;
    const struct backend_config *backend = backend_of(connection);
    const struct sockaddr *address = (const struct sockaddr *)&backend->address.socket;
    connection->state = CONNECTION_CONNECT;
    if (backend->proxy_protocol != PROXY_PROTOCOL_NONE)
        complete_addresses(connection);
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        relay_backend_failed(connection, errno);
        return;
    }
    watch_open(&connection->backend, descriptor);
    set_tcp_option(connection, TCP_NODELAY, 1);
    /* The last of the three segments that open the connection waits for what the client has sent,
     * which mostly is there: HAProxy has it as tcp-smart-connect. */
    set_tcp_option(connection, TCP_QUICKACK, 0);
    if (connected(descriptor, address, backend->address.length)) {
        begin_relay(connection);
    } else if (errno == EINPROGRESS || errno == EALREADY) {
        watch_want(loop, &connection->client, 0);
        watch_want(loop, &connection->backend, EPOLLOUT);
        timer_start(&loop->timers[TIMER_CONNECT], &connection->timer, loop->now);
    } else {
        relay_backend_failed(connection, errno);
    }
}
