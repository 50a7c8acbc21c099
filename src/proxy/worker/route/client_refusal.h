/* The log of clients that are refused because of their certificates. */
#ifndef PROXY_WORKER_ROUTE_CLIENT_REFUSAL_H
#define PROXY_WORKER_ROUTE_CLIENT_REFUSAL_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Logs a refusal, but no more than one a second. `certificate` NULL: the client has sent none. */
void client_refusal_log(SSL *ssl, const X509 *certificate, const char *reason);
/* To be called for a handshake that has failed: logs it, if that was because of the client's
 * certificate and it has not been logged yet. `too_many`: see client_bio.h. */
void client_refusal_failed(SSL *ssl, bool too_many);

#endif
