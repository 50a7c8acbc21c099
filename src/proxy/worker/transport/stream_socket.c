#include "proxy/worker/transport/stream_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

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

static ssize_t peek(const struct transport *transport, void *bytes, size_t size)
{
    return recv(transport->watch.descriptor, bytes, size, MSG_PEEK);
}

static ssize_t read_parts(const struct transport *transport, struct iovec *parts, size_t part_count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
    return recvmsg(transport->watch.descriptor, &message, 0);
}

/* MSG_MORE keeps the bytes in the kernel until more are written, but for 200 ms at most. */
static ssize_t write_bytes(const struct transport *transport, const void *bytes, size_t length,
                           bool more)
{
    return send(transport->watch.descriptor, bytes, length, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

static void end_writing(const struct transport *transport)
{
    shutdown(transport->watch.descriptor, SHUT_WR);
}

static void local_address(const struct transport *transport, struct sockaddr_storage *address)
{
    socklen_t length = sizeof *address;
    if (getsockname(transport->watch.descriptor, (struct sockaddr *)address, &length) != 0)
        address->ss_family = AF_UNSPEC;
}

/* What all stream sockets have in common. */
#define STREAM_SOCKET                                                                              \
    .accept = accept_client, .peek = peek, .read = read_parts, .write = write_bytes,               \
    .end_writing = end_writing, .local_address = local_address

const struct transport_kind transport_tcp = {.name = "tcp", .prepare = send_at_once, STREAM_SOCKET};

const struct transport_kind transport_unix = {.name = "unix", STREAM_SOCKET};
