/*
 * From the ClientHello to the route: its name, the conditions of routes, certificates and the scope
 * of sessions. All of it is decided before libssl looks for a session to resume.
 *
 * Routes are asked in this order: those that have exactly the client's name, those that have its
 * wildcard, then the frontend's own. A client that names nothing is looked for by the address that
 * it came to, first in the frontend's own route.
 */
#ifndef PROXY_WORKER_ROUTE_HELLO_H
#define PROXY_WORKER_ROUTE_HELLO_H

#include "proxy/worker/route/tls_route.h"
#include "proxy/worker/transport/proxy_protocol.h"
#include "proxy/worker/transport/transport.h"

/* Belongs to a connection, and outlives its SSL. */
struct hello {
    const struct tls_frontend *frontend;
    struct transport *transport;
    struct proxy_addresses *addresses; /* the destination is added if it is needed */
    struct certificates *certificates; /* those in force when its ClientHello came; NULL: none */
    const struct store_choice *choice; /* NULL: no ClientHello has been answered */
    const X509 *leaves[CERTIFICATE_KIND_COUNT]; /* that the SSL has been given; NULL: none */
    bool known;                                 /* some route has the client's name */
    bool passed;                                /* the stream is to be sent on as it is */
    bool internal_error;                        /* the client has been told of one by an alert */
    bool held;                                  /* by the following */
    /* Whether the handshake, which needs a signature, is held back until the owner goes on with it.
     * It is asked each time that libssl asks for certificates. NULL: none ever is. */
    bool (*hold_signature)(struct hello *hello);
};

/* The hello that such an SSL was made for. */
struct hello *hello_of(const SSL *ssl);
/* Makes a server-side SSL for the connection. NULL: out of memory. */
SSL *hello_accept(struct hello *hello);
/* When the handshake is over: it needs no certificates any more. Harmless if it has none. */
void hello_release(struct hello *hello);
/* Sets the callbacks of a context: the one above and those that answer by its hello. */
void hello_prepare(SSL_CTX *context);

#endif
