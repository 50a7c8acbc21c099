/*
 * Session tickets (RFC 5077, RFC 8446 section 4.6.1): encrypted with keys that all threads and all
 * workers share, because the master makes them, or immured derives them from a secret.
 */
#ifndef PROXY_WORKER_ROUTE_TICKETS_H
#define PROXY_WORKER_ROUTE_TICKETS_H

#include <openssl/ssl.h>

#include "proxy/shared/control.h"

#define TICKET_IV_SIZE 16
#define TICKET_IVS 32 /* drawn at a time: a call of the random number generator costs more */

/* Of one thread. The owner may replace `keys` between handshakes. */
struct tickets {
    struct ticket_keys keys;
    OSSL_LIB_CTX *context;
    /* Fetched once: a fetch in each handshake would cost more than the cipher. */
    EVP_CIPHER *cipher;
    unsigned char ivs[TICKET_IVS][TICKET_IV_SIZE];
    unsigned iv_count; /* of them not used yet */
};

bool tickets_init(struct tickets *tickets, OSSL_LIB_CTX *context, const struct ticket_keys *keys);
void tickets_release(struct tickets *tickets);

/* Tickets of this SSL_CTX are made and read with *tickets; `count` go out in a TLS 1.3 handshake.
 * 0: no resumption at all. */
bool tickets_use(struct tickets *tickets, SSL_CTX *ssl_context, unsigned count);

#endif
