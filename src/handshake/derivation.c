#include "handshake/derivation.h"

#include <openssl/async.h>
#include <openssl/crypto.h>
#include <string.h>

#include "handshake/fast_handshake.h"

/* A derivation that a paused job waits for. It lives on the job's own stack. */
struct derivation {
    struct list node; /* in fast->waiting until it is run */
    struct derivation_waiter *waiter;
    const struct key_pair *own;
    const uint8_t *peer;
    uint8_t secret[X25519_SIZE];
    bool done, good, cancelled;
};

void fast_handshake_enter(struct fast_handshake *fast, struct derivation_waiter *waiter)
{
    fast->current = waiter;
}

void fast_handshake_leave(struct fast_handshake *fast)
{
    fast->current = NULL;
}

void fast_handshake_cancel(struct derivation_waiter *waiter)
{
    struct derivation *derivation = waiter->waits_for;
    if (derivation == NULL)
        return;
    list_remove(&derivation->node);
    derivation->cancelled = true;
}

static bool wait_for_turn(struct fast_handshake *fast, const struct key_pair *own,
                          const uint8_t *peer, uint8_t *secret)
{
    struct derivation derivation = {.waiter = fast->current, .own = own, .peer = peer};
    list_append(&fast->waiting, &derivation.node);
    derivation.waiter->waits_for = &derivation;
    /* Another event of the connection may resume the job before the secret is there. */
    while (!derivation.done && !derivation.cancelled)
        if (!ASYNC_pause_job())
            break;
    list_remove(&derivation.node);
    derivation.waiter->waits_for = NULL;
    bool good = derivation.done && derivation.good && !derivation.cancelled;
    if (good)
        memcpy(secret, derivation.secret, X25519_SIZE);
    OPENSSL_cleanse(derivation.secret, sizeof derivation.secret);
    return good;
}

bool derivation_make(struct fast_handshake *fast, const struct key_pair *own,
                     const uint8_t peer[X25519_SIZE], uint8_t secret[X25519_SIZE])
{
    bool can_wait = (fast->parts & FAST_DERIVATION) != 0 && fast->current != NULL &&
                    ASYNC_get_current_job() != NULL;
    return can_wait && lanes_serve_key(peer) ? wait_for_turn(fast, own, peer, secret)
                                             : plain_derive(fast->context, own, peer, secret);
}

static void derive_plain(struct fast_handshake *fast, struct derivation *derivation)
{
    derivation->good =
        plain_derive(fast->context, derivation->own, derivation->peer, derivation->secret);
}

/* OpenSSL derives a single secret, and decides where a lane failed. */
static void derive(struct fast_handshake *fast, struct derivation *const *batch, size_t count)
{
    struct lanes_job jobs[LANES];
    unsigned good = 0;
    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct lanes_job){batch[i]->own->private, batch[i]->peer, batch[i]->secret};
    if (count > 1)
        good = lanes_derive(&fast->lanes, jobs, count);
    for (size_t i = 0; i < count; i++) {
        batch[i]->good = (good >> i & 1) != 0;
        if (!batch[i]->good)
            derive_plain(fast, batch[i]);
        batch[i]->done = true;
        batch[i]->waiter->wake(batch[i]->waiter);
    }
}

bool fast_handshake_full(const struct fast_handshake *fast)
{
    size_t count = 0;
    list_for_each(node, &fast->waiting) if (++count == LANES) return true;
    return false;
}

bool fast_handshake_waiting(const struct fast_handshake *fast)
{
    return !list_empty(&fast->waiting);
}

void fast_handshake_run(struct fast_handshake *fast)
{
    while (fast_handshake_waiting(fast)) {
        struct derivation *batch[LANES];
        size_t count = 0;
        for (struct list *node; count < LANES && (node = list_take(&fast->waiting)) != NULL;)
            batch[count++] = list_entry(node, struct derivation, node);
        derive(fast, batch, count);
    }
}
