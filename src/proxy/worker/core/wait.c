#include "proxy/worker/core/wait.h"

#include <openssl/err.h>

#include "base/probe.h"

static bool has_fiber(const struct wait *wait)
{
    return wait->what == AWAITS_DERIVATION || wait->what == AWAITS_SIGNATURE;
}

static void await(struct wait *wait, enum awaited what)
{
    bool had = has_fiber(wait);
    wait->what = what;
    wait->over = false;
    fibers_note(&wait->waits->fibers, had, has_fiber(wait));
}

/* A fiber is free: the handshake that has waited longest for one continues. */
static void feed_starved(struct waits *waits)
{
    struct list *node = list_take(&waits->starved);
    if (node == NULL)
        return;
    struct wait *wait = list_entry(node, struct wait, starved);
    wait->over = true;
    step_queue(waits->turn, STEP_BEGIN, wait->step);
}

static void go_on(struct wait *wait)
{
    wait->over = true;
    step_queue(wait->waits->turn, STEP_FINISH, wait->step);
}

static void answered(struct immure_waiter *signature)
{
    struct wait *wait = list_entry(signature, struct wait, signature);
    PROBE(immure_proxy, signature_answered, wait->tracer, signature->error,
          signature->answered_at - signature->asked_at);
    go_on(wait);
}

static void derived(struct derivation_waiter *derivation)
{
    go_on(list_entry(derivation, struct wait, derivation));
}

void waits_init(struct waits *waits, struct heap_trim *heap)
{
    fibers_init(&waits->fibers, waits->turn->loop, heap);
    list_init(&waits->starved);
}

void wait_init(struct wait *wait, struct waits *waits, struct step *step, const void *tracer,
               uint64_t deadline)
{
    *wait = (struct wait){
        .waits = waits,
        .step = step,
        .tracer = tracer,
        .signature = {.client = waits->client,
                      .blocking = waits->blocking,
                      .wake = answered,
                      .deadline = deadline},
        .derivation = {.wake = derived},
    };
    list_init(&wait->starved);
}

bool wait_derives_together(const struct wait *wait)
{
    const struct fast_handshake *fast = wait->waits->fast;
    return fast != NULL && (fast_handshake_parts(fast) & FAST_DERIVATION) != 0;
}

bool wait_needs_fiber(const struct wait *wait)
{
    return wait->waits->client != NULL || wait_derives_together(wait);
}

bool wait_pending(const struct wait *wait)
{
    return wait->what != AWAITS_NOTHING && !wait->over;
}

/* Whether a derivation that waits would share its batch with others. */
static bool has_company(const struct waits *waits)
{
    return fast_handshake_waiting(waits->fast) || turn_begins_more(waits->turn);
}

void wait_enter(struct wait *wait)
{
    struct waits *waits = wait->waits;
    if (wait->signature.operation == NULL)
        wait->signature.asked_at = 0;
    immure_waiter_enter(&wait->signature);
    if (waits->fast != NULL)
        fast_handshake_enter(waits->fast, has_company(waits) ? &wait->derivation : NULL);
}

void wait_leave(struct wait *wait)
{
    if (wait->waits->fast != NULL)
        fast_handshake_leave(wait->waits->fast);
    immure_waiter_leave();
}

static void note_pause(struct wait *wait)
{
    struct fast_handshake *fast = wait->waits->fast;
    if (wait->derivation.waits_for == NULL) {
        await(wait, AWAITS_SIGNATURE);
        PROBE(immure_proxy, signature_asked, wait->tracer, wait->signature.scheme);
        return;
    }
    await(wait, AWAITS_DERIVATION);
    if (fast_handshake_full(fast))
        fast_handshake_run(fast);
}

void wait_note(struct wait *wait, int ssl_error)
{
    switch (ssl_error) {
    case SSL_ERROR_WANT_ASYNC:
        note_pause(wait);
        break;
    case SSL_ERROR_WANT_ASYNC_JOB:
        await(wait, AWAITS_FIBER);
        list_append(&wait->waits->starved, &wait->starved);
        break;
    default:
        await(wait, AWAITS_NOTHING);
        feed_starved(wait->waits);
    }
}

/* A request sets `asked_at`; `operation` is NULL again when libssl has taken the answer. */
bool wait_signed(const struct wait *wait)
{
    return wait->signature.asked_at != 0 && wait->signature.operation == NULL;
}

/* A paused fiber ends in one more call of libssl. The null BIO keeps it from sending an alert. */
static void end_fiber(struct wait *wait, SSL *ssl)
{
    immure_waiter_cancel(&wait->signature);
    fast_handshake_cancel(&wait->derivation);
    BIO *nowhere = BIO_new(BIO_s_null());
    SSL_set_bio(ssl, nowhere, nowhere);
    immure_waiter_enter(&wait->signature);
    SSL_do_handshake(ssl);
    immure_waiter_leave();
    ERR_clear_error();
}

void wait_cancel(struct wait *wait, SSL *ssl)
{
    bool frees_fiber = has_fiber(wait) || (wait->what == AWAITS_FIBER && wait->over);
    if (has_fiber(wait))
        end_fiber(wait, ssl);
    await(wait, AWAITS_NOTHING);
    list_remove(&wait->starved);
    if (frees_fiber)
        feed_starved(wait->waits);
}
