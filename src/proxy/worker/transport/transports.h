/* The table of transports. */
#ifndef PROXY_WORKER_TRANSPORT_TRANSPORTS_H
#define PROXY_WORKER_TRANSPORT_TRANSPORTS_H

#include "proxy/worker/transport/transport.h"

/* Returns the transport of clients of a listening socket of this family. NULL: there is none. */
const struct transport_kind *transport_of(sa_family_t family);

#endif
