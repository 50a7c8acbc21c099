#include "proxy/worker/transport/transports.h"

#include "proxy/worker/transport/stream_socket.h"

static const struct {
    sa_family_t family;
    const struct transport_kind *kind;
} transports[] = {
    {AF_INET, &transport_tcp},
    {AF_INET6, &transport_tcp},
    {AF_UNIX, &transport_unix},
};

const struct transport_kind *transport_of(sa_family_t family)
{
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++)
        if (transports[i].family == family)
            return transports[i].kind;
    return NULL;
}
