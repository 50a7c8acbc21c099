/*
 * What a handshake waits for that is not its client.
 *
 * libssl asks for a derivation or a signature in the middle of SSL_do_handshake(). It runs on a
 * fiber, which then pauses: the loop goes on, and calls libssl again when there is an answer. There
 * are only so many fibers, so a handshake may have to wait for one, too.
 *
 *     wait_enter(wait);
 *     result = SSL_do_handshake(ssl);
 *     wait_leave(wait);
 *     wait_note(wait, SSL_get_error(ssl, result));
 *
 * `what` and `over` are all that there is to know: NOTHING; something that is not there yet; or
 * something that is, and which the next call of libssl takes. A fiber is paused from the first
 * until that call.
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
    struct fast_handshake *fast;      /* NULL: nothing is derived together */
    struct immure_client *client;     /* NULL: no fiber pauses for a signature */
    struct immure_blocking *blocking; /* for signatures without a fiber, if not NULL */

    struct fibers fibers;
    struct list starved; /* waits that await a fiber, the longest first */
};

enum awaited {
    AWAITS_NOTHING,
    AWAITS_FIBER,      /* all are in use; then: one is kept for it */
    AWAITS_DERIVATION, /* to be made at the end of this turn */
    AWAITS_SIGNATURE   /* from immured */
};

struct wait {
    struct waits *waits;
    struct step *step;  /* queued when what is awaited is there */
    const void *tracer; /* the connection, as trace points name it */
    enum awaited what;
    bool over; /* it is there, and not taken yet */
    struct list starved;
    struct immure_waiter signature;
    struct derivation_waiter derivation;
};

void waits_init(struct waits *waits, struct heap_trim *heap);

/* Nobody waits for a signature beyond `deadline` (ns). */
void wait_init(struct wait *wait, struct waits *waits, struct step *step, const void *tracer,
               uint64_t deadline);
/* Whether libssl is to run on a fiber: it may have to wait. */
bool wait_needs_fiber(const struct wait *wait);
bool wait_derives_together(const struct wait *wait);

/* Whether it waits for something that is not there yet. */
bool wait_pending(const struct wait *wait);
void wait_enter(struct wait *wait);
void wait_leave(struct wait *wait);
/* What libssl has returned: from now on it waits for that. */
void wait_note(struct wait *wait, int ssl_error);
/* Whether the last call of libssl got a signature, or an error in its place: `signature` says how
 * that went. */
bool wait_signed(const struct wait *wait);
/* Waits for nothing any more. A paused fiber goes on to its end, so that libssl may be freed. */
void wait_cancel(struct wait *wait, SSL *ssl);

#endif
