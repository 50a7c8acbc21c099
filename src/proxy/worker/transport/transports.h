/* The transports that there are. */
#ifndef PROXY_WORKER_TRANSPORT_TRANSPORTS_H
#define PROXY_WORKER_TRANSPORT_TRANSPORTS_H

#include "proxy/worker/transport/transport.h"

/* By which transport clients come to a listening socket of this family. NULL: by none. */
const struct transport_kind *transport_of(sa_family_t family);

#endif
