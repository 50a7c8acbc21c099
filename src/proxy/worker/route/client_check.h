/*
 * Client certificates: what is asked for, and whether what a client presents holds.
 *
 * libssl verifies within one call, so what a client can make it do is bounded before: the number of
 * certificates and their bytes, and the kinds and sizes of their keys.
 */
#ifndef PROXY_WORKER_ROUTE_CLIENT_CHECK_H
#define PROXY_WORKER_ROUTE_CLIENT_CHECK_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "proxy/worker/route/client_policy.h"

/* Makes a context ask for certificates. *check outlives it. False: out of memory. */
bool client_check_use(const struct client_check *check, SSL_CTX *context);
/* The same for a connection that has been made by another context and got this one. */
void client_check_take_over(const struct client_check *check, SSL *ssl);

#endif
