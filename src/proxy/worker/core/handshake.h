/*
 * The TLS handshake of a connection, in steps. Each step goes as far as libssl gets with what has
 * arrived: until it needs the client's next message, a signature or a derivation, or is finished.
 */
#ifndef PROXY_WORKER_CORE_HANDSHAKE_H
#define PROXY_WORKER_CORE_HANDSHAKE_H

#include <openssl/ssl.h>

#include "proxy/shared/metrics.h"
#include "proxy/worker/core/held.h"
#include "proxy/worker/core/wait.h"
#include "proxy/worker/route/hello.h"
#include "proxy/worker/transport/client_bio.h"

/* What all handshakes of a thread use. */
struct handshakes {
    struct waits waits;
    struct thread_metrics *metrics;
    const BIO_METHOD *client_bio;
    uint64_t internal_error_logged; /* ns */
};

struct handshake {
    struct handshakes *handshakes;
    struct client_bio *client;
    struct hello *hello;
    struct held *held;
    SSL *ssl; /* from the first byte of the handshake on */
    struct wait wait;
    uint64_t begun_at; /* ns */
    bool wants_write;  /* it goes on when the client's socket is writable */
    enum handshake_result result;
};

/* `step` runs handshake_step(). `deadline` (ns) applies to signatures; the owner has to end a
 * handshake that takes too long. `tracer` is the connection's address, as trace points show it. */
void handshake_init(struct handshake *handshake, struct handshakes *handshakes, struct hello *hello,
                    struct client_bio *client, struct step *step, struct held *held,
                    const void *tracer, uint64_t deadline);
/* Returns whether the handshake is over; then `result` says how it ended. HANDSHAKE_PASSED: libssl
 * has answered nothing, and what it has read is in client->kept. Otherwise the step is
 * queued again when there is more to do; an event of the client has to be queued by the owner. */
bool handshake_step(struct handshake *handshake);
/* Whether admission holds it back before the signature that it needs, and the key exchange. */
bool handshake_hold_signature(struct handshake *handshake);
/* Frees the SSL; allowed at any time. */
void handshake_release(struct handshake *handshake);

/* VERSION_NONE before anything was negotiated; ssl may be NULL. */
enum handshake_version handshake_version_of(const SSL *ssl);

#endif
