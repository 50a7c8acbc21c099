#include "proxy/worker/backend/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* The pause before a unix socket with a full backlog is tried again. */
#define AGAIN_PAUSE (10 * NS_PER_MS)

void connect_init(struct server_connection *connection,
                  void (*ready)(struct watch *watch, uint32_t events),
                  void (*done)(struct server_connection *connection, int cause))
{
    *connection = (struct server_connection){.done = done};
    watch_init(&connection->watch, ready);
    timer_init(&connection->timer, NULL);
}

static void finish(struct server_connection *connection, int cause)
{
    timer_stop(connection->loop, &connection->timer);
    connection->done(connection, cause);
}

static void set_tcp_option(const struct server_connection *connection, int option, int value)
{
    if (connection->tcp)
        setsockopt(connection->watch.descriptor, IPPROTO_TCP, option, &value, sizeof value);
}

/* On the loopback the connection is made or refused before connect() returns, although it says
 * EINPROGRESS; a second call saves four calls of epoll_ctl() and a turn. False with errno. */
static bool connected(int descriptor, const struct sockaddr *address, socklen_t length)
{
    if (connect(descriptor, address, length) == 0)
        return true;
    return errno == EINPROGRESS && (connect(descriptor, address, length) == 0 || errno == EISCONN);
}

static void try_next(struct server_connection *connection, int cause);
static void try_again(struct timer *timer);

static void expired(struct timer *timer)
{
    finish(list_entry(timer, struct server_connection, timer), ETIMEDOUT);
}

/* An address has not answered within its time limit, and another one follows. */
static void expired_before_next(struct timer *timer)
{
    try_next(list_entry(timer, struct server_connection, timer), ETIMEDOUT);
}

static void start_timer(struct server_connection *connection, void (*over)(struct timer *timer),
                        uint64_t duration)
{
    connection->timer.expired = over;
    timer_start(connection->loop, &connection->timer, duration);
}

static void wait_for_answer(struct server_connection *connection)
{
    bool last = connection->tried >= connection->server->addresses.count;
    uint64_t limit = connection->limit;
    watch_want(connection->loop, &connection->watch, EPOLLOUT);
    if (last)
        start_timer(connection, expired, limit);
    else
        start_timer(connection, expired_before_next, limit < CONNECT_NEXT ? limit : CONNECT_NEXT);
}

/* Tries the last of the addresses that `tried` counts. False with errno. */
static bool try_address(struct server_connection *connection)
{
    const struct server_address *address = &connection->server->addresses.of[connection->tried - 1];
    if (connected(connection->watch.descriptor, (const struct sockaddr *)&address->socket,
                  address->length)) {
        finish(connection, 0);
    } else if (errno == EINPROGRESS || errno == EALREADY) {
        wait_for_answer(connection);
    } else if (errno == EAGAIN && !connection->tcp &&
               connection->loop->now < connection->deadline) {
        /* The backlog of a unix socket is full, and no event says when it has room again. */
        start_timer(connection, try_again, AGAIN_PAUSE);
    } else {
        return false;
    }
    return true;
}

static bool open_socket(struct server_connection *connection, const struct server_address *address)
{
    int descriptor =
        socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    watch_open(&connection->watch, descriptor, WATCH_LEVEL);
    connection->tcp = address->socket.ss_family != AF_UNIX;
    set_tcp_option(connection, TCP_NODELAY, 1);
    /* The last segment of TCP's handshake is held back to carry the client's first bytes, which
     * have usually arrived by now; HAProxy calls this tcp-smart-connect. */
    set_tcp_option(connection, TCP_QUICKACK, 0);
    return true;
}

/* A backlog that stayed full until the deadline is reported as EAGAIN. */
static int cause_of(int error)
{
    return error == EAGAIN ? ETIMEDOUT : error;
}

/* Tries the remaining addresses in order, until one is connected or in progress. `cause`: why the
 * previous one failed. */
static void try_next(struct server_connection *connection, int cause)
{
    const struct server_addresses *addresses = &connection->server->addresses;
    while (connection->tried < addresses->count) {
        watch_close(connection->loop, &connection->watch);
        if (open_socket(connection, &addresses->of[connection->tried++]) && try_address(connection))
            return;
        cause = cause_of(errno);
    }
    finish(connection, cause);
}

static void try_again(struct timer *timer)
{
    struct server_connection *connection = list_entry(timer, struct server_connection, timer);
    if (!try_address(connection))
        try_next(connection, cause_of(errno));
}

void connect_begin(struct server_connection *connection, struct loop *loop,
                   const struct server *server, uint64_t limit)
{
    connection->loop = loop;
    connection->server = server;
    connection->limit = limit;
    connection->tried = 0;
    connection->deadline = loop->now + limit;
    try_next(connection, EHOSTUNREACH);
}

void connect_step(struct server_connection *connection)
{
    int cause = 0;
    socklen_t length = sizeof cause;
    getsockopt(connection->watch.descriptor, SOL_SOCKET, SO_ERROR, &cause, &length);
    if (cause != 0)
        try_next(connection, cause);
    else
        finish(connection, 0);
}

void connect_acknowledge(const struct server_connection *connection)
{
    set_tcp_option(connection, TCP_QUICKACK, 1);
}

void connect_reset_at_close(const struct server_connection *connection)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(connection->watch.descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

void connect_close(struct server_connection *connection, struct loop *loop)
{
    timer_stop(loop, &connection->timer);
    watch_close(loop, &connection->watch);
}
