/* A handshake in memory, whose server has its key in an immured that the test plays. */
#ifndef TESTS_PROVIDER_HANDSHAKE_H
#define TESTS_PROVIDER_HANDSHAKE_H

#include "tls_contexts.h"

struct handshake {
    struct immure_waiter waiter; /* first: wake() gets it */
    SSL *server, *client;
    size_t woken;
    bool failed;
};

void handshake_begin(struct handshake *handshake, SSL_CTX *server, SSL_CTX *client,
                     struct immure_client *immure);
void handshake_end(struct handshake *handshake);
/* One SSL_do_handshake() of the server's; what SSL_get_error() says of it. */
int handshake_step(struct handshake *handshake);
/* Until both are done, the server waits for a signature, or one has failed. */
void handshake_run(struct handshake *handshake);
bool handshake_done(const struct handshake *handshake);

/* Signs or decrypts all pending requests. */
void handshake_exchange(struct peer *peer, struct immure_client *client);

#endif
