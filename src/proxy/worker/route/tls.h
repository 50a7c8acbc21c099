/*
 * The TLS side of all frontends, for one thread: policies of their routes, and certificates.
 *
 * Each thread has an OpenSSL library context and SSL_CTXs of its own, so that threads share no lock
 * and no reference count of libssl.
 */
#ifndef PROXY_WORKER_ROUTE_TLS_H
#define PROXY_WORKER_ROUTE_TLS_H

#include "proxy/worker/route/tls_route.h"

/* With `in-process` it reads every key. `tells`: whether this thread tries certificates and logs
 * warnings, for all. The setup outlives the result. NULL: *error says which file and why. */
struct tls *tls_open(const struct tls_setup *setup, bool tells, struct conf_error *error);
void tls_close(struct tls *tls);

#endif
