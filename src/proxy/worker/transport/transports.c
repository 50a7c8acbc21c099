#include "proxy/worker/transport/transports.h"

#include <sys/socket.h>

#include "proxy/worker/transport/stream_socket.h"

static const struct {
    int family;
    const struct transport_kind *kind;
} transports[] = {
    {AF_INET, &transport_tcp},
    {AF_INET6, &transport_tcp},
    {AF_UNIX, &transport_unix},
};

/* A stream socket of any other family, such as AF_VSOCK, has no options of TCP, like a unix
 * socket. */
const struct transport_kind *transport_of(int listener)
{
    int family = AF_UNSPEC;
    socklen_t length = sizeof family;
    getsockopt(listener, SOL_SOCKET, SO_DOMAIN, &family, &length);
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++)
        if (transports[i].family == family)
            return transports[i].kind;
    return &transport_unix;
}
