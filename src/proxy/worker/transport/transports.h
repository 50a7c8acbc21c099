/* The table of transports. */
#ifndef PROXY_WORKER_TRANSPORT_TRANSPORTS_H
#define PROXY_WORKER_TRANSPORT_TRANSPORTS_H

#include "proxy/worker/transport/transport.h"

/* Returns the transport of clients of this listening socket. The socket is asked, not the
 * configuration: what a service manager passes may be of any family. */
const struct transport_kind *transport_of(int listener);

#endif
