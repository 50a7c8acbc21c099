/*
 * What a handshake waits for, apart from its client.
 *
 * libssl asks for a derivation or a signature in the middle of SSL_do_handshake(). It runs on a
 * fiber, which then pauses: the loop goes on, and calls libssl again when there is an answer. The
 * number of fibers is limited, so a handshake may have to wait for one, too.
 *
 *     wait_enter(wait);
 *     result = SSL_do_handshake(ssl);
 *     wait_leave(wait);
 *     wait_note(wait, SSL_get_error(ssl, result));
 *
 * `what` and `over` are the whole state. Either the handshake waits for nothing but its client, or
 * it waits for something that is not there yet, or that something is there (`over`) and the next
 * call of libssl takes it. A paused fiber stays paused until that call.
 */
#ifndef PROXY_WORKER_CORE_WAIT_H
#define PROXY_WORKER_CORE_WAIT_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "handshake/fast_handshake.h"
#include "immure/openssl.h"
#include "proxy/worker/core/fibers.h"
#include "proxy/worker/core/turn.h"

/* What all handshakes of a thread use. The owner sets the first group. */
struct waits {
    struct turn *turn;
    struct fast_handshake *fast;      /* NULL: derivations are not batched */
    struct immure_client *client;     /* NULL: no fiber pauses for a signature */
    struct immure_blocking *blocking; /* if not NULL: signs without a fiber */

    struct fibers fibers;
    struct list starved; /* waits that await a fiber; the one that has waited longest is first */
};

enum awaited {
    AWAITS_NOTHING,
    AWAITS_FIBER,      /* all are in use; once it is over, a fiber is free for it */
    AWAITS_DERIVATION, /* made together with others by fast_handshake_run() */
    AWAITS_SIGNATURE   /* from immured */
};

struct wait {
    struct waits *waits;
    struct step *step;  /* queued when the wait is over */
    const void *tracer; /* the connection's address, as trace points show it */
    enum awaited what;
    bool over; /* what is awaited is there, and libssl has not taken it yet */
    struct list starved;
    struct immure_waiter signature;
    struct derivation_waiter derivation;
};

void waits_init(struct waits *waits, struct heap_trim *heap);

/* A signature that has not arrived by `deadline` (ns) fails. */
void wait_init(struct wait *wait, struct waits *waits, struct step *step, const void *tracer,
               uint64_t deadline);
/* Whether libssl has to run on a fiber, because it may pause. */
bool wait_needs_fiber(const struct wait *wait);
bool wait_derives_together(const struct wait *wait);

/* Whether it waits for something that is not there yet. */
bool wait_pending(const struct wait *wait);
void wait_enter(struct wait *wait);
void wait_leave(struct wait *wait);
/* Sets what the handshake waits for, according to libssl's error code. */
void wait_note(struct wait *wait, int ssl_error);
/* Whether the last call of libssl got a signature or an error in its place; `signature` has the
 * details. */
bool wait_signed(const struct wait *wait);
/* Cancels the wait. A paused fiber runs to its end, so that the SSL can be freed. */
void wait_cancel(struct wait *wait, SSL *ssl);

#endif
