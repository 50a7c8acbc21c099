#include "proxy/worker/transport/stream_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

/* Accepted sockets inherit TCP_NODELAY, so that no connection pays for the call. */
static void send_at_once(int listener)
{
    int on = 1;
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int accept_client(int listener, struct sockaddr_storage *peer)
{
    socklen_t length = sizeof *peer;
    peer->ss_family = AF_UNSPEC;
    return accept4(listener, (struct sockaddr *)peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* The kernel counts from the last bytes or, if there were none, from the connection's beginning. */
static uint64_t silent_for(int descriptor)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
        return 0;
    return info.tcpi_last_data_recv * NS_PER_MS;
}

/* What has not been sent or read is discarded. Unix sockets ignore it. */
static void linger_not(int descriptor)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static void refuse_client(int descriptor)
{
    linger_not(descriptor);
    (void)close(descriptor);
}

static struct stream_socket *socket_of(struct transport *transport)
{
    return list_entry(transport, struct stream_socket, transport);
}

static void ready(struct watch *watch, uint32_t events)
{
    struct transport *transport = &list_entry(watch, struct stream_socket, watch)->transport;
    transport->ready(transport, (events & EPOLLIN ? TRANSPORT_READABLE : 0U) |
                                    (events & EPOLLOUT ? TRANSPORT_WRITABLE : 0U) |
                                    (events & EPOLLRDHUP ? TRANSPORT_ENDED : 0U) |
                                    (events & (EPOLLHUP | EPOLLERR) ? TRANSPORT_GONE : 0U));
}

static void open_socket(struct transport *transport, int descriptor)
{
    struct watch *watch = &socket_of(transport)->watch;
    watch_init(watch, ready);
    watch_open(watch, descriptor, WATCH_EDGE);
}

static void close_socket(struct transport *transport)
{
    watch_close(transport->loop, &socket_of(transport)->watch);
}

static void reset_at_close(struct transport *transport)
{
    linger_not(socket_of(transport)->watch.descriptor);
}

static void want(struct transport *transport, bool read, bool write)
{
    watch_want(transport->loop, &socket_of(transport)->watch,
               (read ? EPOLLIN | EPOLLRDHUP : 0) | (write ? EPOLLOUT : 0));
}

static void repeat(struct transport *transport)
{
    watch_level(&socket_of(transport)->watch);
}

static void look_between(struct transport *transport)
{
    watch_between(transport->loop, &socket_of(transport)->watch);
}

static ssize_t peek(struct transport *transport, void *bytes, size_t size)
{
    return recv(socket_of(transport)->watch.descriptor, bytes, size, MSG_PEEK);
}

static ssize_t read_parts(struct transport *transport, struct iovec *parts, size_t part_count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
    return recvmsg(socket_of(transport)->watch.descriptor, &message, 0);
}

/* MSG_MORE keeps the bytes in the kernel until more are written, but for 200 ms at most. */
static ssize_t write_bytes(struct transport *transport, const void *bytes, size_t length, bool more)
{
    return send(socket_of(transport)->watch.descriptor, bytes, length,
                MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

static void end_writing(struct transport *transport)
{
    shutdown(socket_of(transport)->watch.descriptor, SHUT_WR);
}

static void local_address(struct transport *transport, struct sockaddr_storage *address)
{
    socklen_t length = sizeof *address;
    if (getsockname(socket_of(transport)->watch.descriptor, (struct sockaddr *)address, &length) !=
        0)
        address->ss_family = AF_UNSPEC;
}

/* What all stream sockets have in common. */
#define STREAM_SOCKET                                                                              \
    .size = sizeof(struct stream_socket), .accept = accept_client, .refuse = refuse_client,        \
    .open = open_socket, .close = close_socket, .reset_at_close = reset_at_close, .want = want,    \
    .repeat = repeat, .look_between = look_between, .peek = peek, .read = read_parts,              \
    .write = write_bytes, .end_writing = end_writing, .local_address = local_address

const struct transport_kind transport_tcp = {
    .name = "tcp", .prepare = send_at_once, .silent_for = silent_for, STREAM_SOCKET};

const struct transport_kind transport_unix = {.name = "unix", STREAM_SOCKET};
