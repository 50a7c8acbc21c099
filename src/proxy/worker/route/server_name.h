/*
 * The name that a client asks for (SNI; RFC 6066, section 3), as it stands in the ClientHello of
 * this connection. SSL_get_servername() is no substitute: where a TLS 1.2 session is resumed, it
 * answers with the name of the session.
 */
#ifndef PROXY_WORKER_ROUTE_SERVER_NAME_H
#define PROXY_WORKER_ROUTE_SERVER_NAME_H

#include <openssl/ssl.h>
#include <stdbool.h>

#define SERVER_NAME_MAX 255

/* Before threads start. */
bool server_name_init(void);

/* In a client_hello callback: the name in lower case, which is kept with the SSL until its next
 * ClientHello. NULL: the client sent none, or none that a certificate could have. */
const char *server_name_take(SSL *ssl);

/* The name that was taken last, or NULL. It lives as long as the SSL. */
const char *server_name_of(const SSL *ssl);

#endif
