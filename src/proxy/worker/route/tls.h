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

/* Takes the store that is in force now. Routes must have certificates of the same kinds in it.
 * False: out of memory. */
bool tls_refresh(struct tls *tls);
enum tls_cleared {
    TLS_CLEARED, /* nothing is left of the certificates before */
    TLS_CLEARS,  /* there is more to free */
    TLS_IN_USE   /* handshakes use the rest */
};
/* Frees a part of the certificates before. */
enum tls_cleared tls_clear(struct tls *tls);

#endif
