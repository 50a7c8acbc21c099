/*
 * The TLS handshake of a connection, in steps. Each step goes as far as libssl gets with what there
 * is: to the client's next message, to a signature or a derivation, to the end.
 */
#ifndef PROXY_WORKER_CORE_HANDSHAKE_H
#define PROXY_WORKER_CORE_HANDSHAKE_H

#include <openssl/ssl.h>

#include "proxy/shared/metrics.h"
#include "proxy/worker/core/wait.h"
#include "proxy/worker/route/tls.h"
#include "proxy/worker/transport/client_bio.h"

/* What all handshakes of a thread use. */
struct handshakes {
    struct waits waits;
    struct thread_metrics *metrics;
    const BIO_METHOD *client_bio;
};

struct handshake {
    struct handshakes *handshakes;
    struct client_bio *client;
    const struct tls_frontend *tls;
    SSL *ssl; /* from the first byte of the handshake on */
    struct wait wait;
    uint64_t begun_at; /* ns */
    bool wants_write;  /* it goes on when the client takes more */
    enum handshake_result result;
};

/* `step` runs handshake_step(). `deadline` (ns) is that of signatures; ending the handshake in time
 * is the owner's. `tracer`: the connection, as trace points name it. */
void handshake_init(struct handshake *handshake, struct handshakes *handshakes,
                    const struct tls_frontend *tls, struct client_bio *client, struct step *step,
                    const void *tracer, uint64_t deadline);
/* Whether it is over: then `result` says how. Otherwise the step queues itself when there is more
 * to do, unless that depends on the client. */
bool handshake_step(struct handshake *handshake);
/* Frees what is libssl's, at any time. */
void handshake_release(struct handshake *handshake);

/* VERSION_NONE before anything was negotiated; ssl may be NULL. */
enum handshake_version handshake_version_of(const SSL *ssl);

#endif
