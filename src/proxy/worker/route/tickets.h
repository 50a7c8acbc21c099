/*
 * Session tickets (RFC 5077, RFC 8446 section 4.6.1). All threads and all workers share the keys
 * that encrypt them: the master makes them, or immured derives them from a secret.
 */
#ifndef PROXY_WORKER_ROUTE_TICKETS_H
#define PROXY_WORKER_ROUTE_TICKETS_H

#include <openssl/ssl.h>

#include "proxy/shared/control.h"

#define TICKET_IV_SIZE 16
#define TICKET_IVS 32 /* drawn together: one call of the generator costs more than the bytes */

/* Each thread has its own. The owner may replace `keys` between handshakes. */
struct tickets {
    struct ticket_keys keys;
    OSSL_LIB_CTX *context;
    /* Fetched once: a fetch in each handshake would cost more than the cipher. */
    EVP_CIPHER *cipher;
    unsigned char ivs[TICKET_IVS][TICKET_IV_SIZE];
    unsigned iv_count; /* how many are unused */
};

bool tickets_init(struct tickets *tickets, OSSL_LIB_CTX *context, const struct ticket_keys *keys);
void tickets_release(struct tickets *tickets);

/* Makes an SSL_CTX write and read its tickets with *tickets. `count` is the number of tickets in a
 * TLS 1.3 handshake; 0: no resumption at all. */
bool tickets_use(struct tickets *tickets, SSL_CTX *ssl_context, unsigned count);

#endif
