/*
 * libssl's way to a client's socket: as BIO_s_socket(3), but what is not urgent waits in the kernel
 * for what follows it, to go with it in one segment. A ticket waits for the response to the request
 * that came with the client's Finished, close_notify for the FIN.
 *
 * They wait as send(2) says of MSG_MORE: any segment from the client sends them too, and so do
 * 200 ms.
 */
#ifndef PROXY_WORKER_CLIENT_BIO_H
#define PROXY_WORKER_CLIENT_BIO_H

#include <openssl/bio.h>
#include <stdbool.h>

struct connection;

/* To be freed with BIO_meth_free(), after its BIOs. NULL: out of memory. */
BIO_METHOD *client_bio_method(void);

/* For both ways of the connection's SSL. The descriptor stays the connection's. False: out of
 * memory. */
bool client_bio_use(struct connection *connection, const BIO_METHOD *method);

#endif
