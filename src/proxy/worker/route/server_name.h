/*
 * The name that a client asks for (SNI; RFC 6066, section 3), from the ClientHello of this
 * connection. SSL_get_servername() is no substitute: when a TLS 1.2 session is resumed, it returns
 * the name of the session.
 */
#ifndef PROXY_WORKER_ROUTE_SERVER_NAME_H
#define PROXY_WORKER_ROUTE_SERVER_NAME_H

#include <openssl/ssl.h>
#include <stdbool.h>

#define SERVER_NAME_MAX 255

/* To be called before threads start. */
bool server_name_init(void);

/* For a client_hello callback: returns the name in lower case, and keeps it with the SSL until its
 * next ClientHello. NULL: the client sent no name, or none that a certificate could have. */
const char *server_name_take(SSL *ssl);

/* Returns the name that was taken last, or NULL. It lives until the next ClientHello, or as long as
 * the SSL. */
const char *server_name_of(const SSL *ssl);

#endif
