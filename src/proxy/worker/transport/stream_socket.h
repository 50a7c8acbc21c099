/* Clients on stream sockets: TCP, and unix sockets from a proxy on this machine. */
#ifndef PROXY_WORKER_TRANSPORT_STREAM_SOCKET_H
#define PROXY_WORKER_TRANSPORT_STREAM_SOCKET_H

#include "proxy/worker/transport/transport.h"

struct stream_socket {
    struct transport transport;
    struct watch watch;
};

extern const struct transport_kind transport_tcp, transport_unix;

#endif
