/* What a TLS policy asks of clients. */
#ifndef PROXY_WORKER_ROUTE_CLIENT_POLICY_H
#define PROXY_WORKER_ROUTE_CLIENT_POLICY_H

#include <openssl/ssl.h>

#include "proxy/worker/route/authority.h"

struct client_check {
    const struct client_policy_config *config;
    const struct authority *authority; /* NULL: clients are not asked */
    X509_STORE *store;                 /* of the thread */
    /* Is told why a client is refused. NULL for `certificate`: it has sent none. */
    void (*refused)(SSL *ssl, const X509 *certificate, const char *reason);
};

#endif
