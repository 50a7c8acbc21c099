/*
 * Why steps: a handshake costs from 100 us to a few milliseconds of CPU time, and clients decide
 * how many of them begin at once. The turn chooses what runs next between two steps and never
 * within one, so an established connection waits for one step of another's handshake and not for
 * all of it. For the same reason libssl does not read the client's socket: within one call it would
 * process everything that has arrived (see client_bio.h).
 *
 * Why a fiber: libssl asks for a signature by a function call in the middle of SSL_do_handshake(),
 * and waiting there for the answer would hold up all connections of the thread. A fiber takes
 * 32 KiB and costs two switches of stacks, so a handshake stops using one as soon as nothing more
 * can pause. When all fibers are in use, further handshakes wait for one, first come, first served
 * (see wait.h).
 *
 * Why nothing is done for a client that has gone: in a flood most clients have given up before
 * their turn comes. The owner of the handshake drops them before their next step.
 */
#include "proxy/worker/core/handshake.h"

#include <openssl/err.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "proxy/worker/route/client_refusal.h"
#include "proxy/worker/route/server_name.h"

/* The limit for one handshake: it keeps a client from cutting a ClientHello into thousands of
 * pieces for libssl to work on. Even a ClientHello of 2 KB with each byte in a record of its own
 * stays below it. */
#define HANDSHAKE_RECORDS_MAX 2048

enum handshake_version handshake_version_of(const SSL *ssl)
{
    if (ssl == NULL || SSL_get_current_cipher(ssl) == NULL)
        return VERSION_NONE;
    return SSL_version(ssl) == TLS1_3_VERSION ? VERSION_TLS13 : VERSION_TLS12;
}

void handshake_init(struct handshake *handshake, struct handshakes *handshakes, struct hello *hello,
                    struct client_bio *client, struct step *step, struct held *held,
                    const void *tracer, uint64_t deadline)
{
    *handshake = (struct handshake){.handshakes = handshakes,
                                    .client = client,
                                    .hello = hello,
                                    .held = held,
                                    .begun_at = handshakes->waits.turn->loop->now};
    wait_init(&handshake->wait, &handshakes->waits, step, tracer, deadline);
}

/* Called when the first bytes of the handshake arrive, so that a connection that sends nothing
 * costs no memory of libssl. */
static bool open_ssl(struct handshake *handshake)
{
    if (handshake->hello->frontend->passes)
        client_bio_keep(handshake->client);
    handshake->ssl = hello_accept(handshake->hello);
    if (handshake->ssl == NULL ||
        !client_bio_use(handshake->client, handshake->ssl, handshake->handshakes->client_bio))
        return false;
    if (wait_needs_fiber(&handshake->wait))
        SSL_set_mode(handshake->ssl, SSL_MODE_ASYNC);
    return true;
}

static void record_signature(const struct handshake *handshake)
{
    const struct immure_waiter *waiter = &handshake->wait.signature;
    const char *backend = waiter->backend != NULL ? waiter->backend : "none";
    struct sign_metrics *row =
        metrics_sign(handshake->handshakes->metrics, waiter->scheme, backend);
    if (row == NULL)
        return;
    if (waiter->error != IMMURE_OK) {
        metric_add(&row->errors, 1);
        return;
    }
    metrics_signed(row, waiter->work_ns, waiter->queue_ns, waiter->answered_at - waiter->asked_at,
                   waiter->answered_at);
}

/* ---- what its signature costs ---- */

static struct signing_key key_of(const X509 *leaf)
{
    const EVP_PKEY *key = leaf != NULL ? X509_get0_pubkey(leaf) : NULL;
    if (key == NULL)
        return (struct signing_key){.bits = 0};
    int id = EVP_PKEY_get_base_id(key);
    return (struct signing_key){.rsa = id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS,
                                .bits = (unsigned)EVP_PKEY_get_bits(key)};
}

/* Which certificate libssl will choose is not known yet: it is taken to be the one whose signature
 * costs least. */
bool handshake_hold_signature(struct handshake *handshake)
{
    struct admission *admission = handshake->held->admission;
    struct signing_key cheapest = {.bits = 0};
    uint64_t least = UINT64_MAX;
    for (size_t kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++) {
        const X509 *leaf = handshake->hello->leaves[kind];
        if (leaf == NULL)
            continue;
        struct signing_key key = key_of(leaf);
        uint64_t cost = signing_cost(&admission->signing, key);
        cheapest = cost < least ? key : cheapest;
        least = cost < least ? cost : least;
    }
    return held_sign(handshake->held, cheapest);
}

static void note_ask(struct handshake *handshake)
{
    if (handshake->wait.what == AWAITS_SIGNATURE)
        admission_ask(handshake->held->admission, &handshake->held->visit,
                      key_of(SSL_get_certificate(handshake->ssl)));
}

static void note_answer(struct handshake *handshake)
{
    const struct immure_waiter *waiter = &handshake->wait.signature;
    struct admission *admission = handshake->held->admission;
    if (waiter->error == IMMURE_OK)
        admission_answered(admission, &handshake->held->visit,
                           key_of(SSL_get_certificate(handshake->ssl)), waiter->queue_ns,
                           waiter->work_ns);
    else
        admission_unanswered(admission, &handshake->held->visit);
}

static void note_signature(struct handshake *handshake)
{
    struct wait *wait = &handshake->wait;
    if (!wait_signed(wait))
        return;
    record_signature(handshake);
    note_answer(handshake);
    /* In TLS 1.3 the signature comes last, and what follows needs no fiber. */
    if (SSL_version(handshake->ssl) == TLS1_3_VERSION || !wait_derives_together(wait))
        SSL_clear_mode(handshake->ssl, SSL_MODE_ASYNC);
}

static bool over(struct handshake *handshake, enum handshake_result result)
{
    handshake->result = result;
    return true;
}

static bool established(struct handshake *handshake)
{
    struct thread_metrics *metrics = handshake->handshakes->metrics;
    enum handshake_result result =
        SSL_session_reused(handshake->ssl) ? HANDSHAKE_RESUMED : HANDSHAKE_FULL;
    uint64_t took = clock_now() - handshake->begun_at;
    metric_add(&metrics->handshakes[handshake_version_of(handshake->ssl)][result], 1);
    histogram_record(&metrics->handshake, took);
    PROBE(immure_proxy, established, handshake->wait.tracer, result, took);
    SSL_clear_mode(handshake->ssl, SSL_MODE_ASYNC);
    return over(handshake, result);
}

/* The oldest error is the cause, and the others follow from it. */
static void log_internal_error(struct handshake *handshake)
{
    struct handshakes *handshakes = handshake->handshakes;
    const char *data;
    int flags;
    unsigned long cause = ERR_peek_error_data(&data, &flags);
    const char *reason = ERR_reason_error_string(cause);
    const char *name = server_name_of(handshake->ssl);
    if (!log_due(&handshakes->internal_error_logged, handshakes->waits.turn->loop->now))
        return;
    log_error("frontend \"%s\": a handshake for %s failed by an internal error: %s%s%s",
              handshake->hello->frontend->config->name, name != NULL ? name : "no name",
              reason != NULL ? reason : "no reason is known", data[0] != '\0' ? ": " : "", data);
}

/* libssl has already sent the alert that says why. */
static bool failed(struct handshake *handshake, int error)
{
    bool too_long = handshake->client->too_long;
    bool peer_gone =
        !too_long && (error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN ||
                      ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
    if (too_long) {
        log_debug("handshake: a message of more than %d bytes", ANNOUNCED_MAX);
    } else if (handshake->hello->internal_error) {
        log_internal_error(handshake);
    } else if (!peer_gone) {
        log_debug("handshake: %s", ERR_reason_error_string(ERR_peek_error()));
        client_refusal_failed(handshake->ssl, handshake->client->too_many);
    }
    ERR_clear_error();
    return over(handshake, peer_gone ? HANDSHAKE_ABORTED : HANDSHAKE_FAILED);
}

/* libssl needs more bytes. `more`: they have arrived already, and the next step may read them. */
static bool wants_read(struct handshake *handshake, bool more)
{
    if (handshake->client->records_total > HANDSHAKE_RECORDS_MAX) {
        log_debug("handshake: more than %d records", HANDSHAKE_RECORDS_MAX);
        return over(handshake, HANDSHAKE_FAILED);
    }
    if (more)
        step_queue(handshake->handshakes->waits.turn, STEP_BEGIN, handshake->wait.step);
    return false;
}

/* Returns libssl's error code. *more: bytes have arrived that no event will announce. */
static int do_handshake(struct handshake *handshake, bool *more)
{
    ERR_clear_error();
    PROBE(immure_proxy, step_begin, handshake->wait.tracer);
    client_bio_enter(handshake->client);
    wait_enter(&handshake->wait);
    int result = SSL_do_handshake(handshake->ssl);
    wait_leave(&handshake->wait);
    int error = SSL_get_error(handshake->ssl, result);
    *more = client_bio_leave(handshake->client);
    PROBE(immure_proxy, step_end, handshake->wait.tracer, error);
    return error;
}

/* The stream is not for libssl: its route has been found, and it passes streams on. */
static bool passed(struct handshake *handshake)
{
    ERR_clear_error();
    metric_add(&handshake->handshakes->metrics->handshakes[VERSION_NONE][HANDSHAKE_PASSED], 1);
    return over(handshake, HANDSHAKE_PASSED);
}

bool handshake_step(struct handshake *handshake)
{
    bool more;
    if (wait_pending(&handshake->wait))
        return false; /* bytes of the client queued the step, but the wait is not over */
    if (handshake->ssl == NULL && !open_ssl(handshake))
        return over(handshake, HANDSHAKE_FAILED);
    int error = do_handshake(handshake, &more);
    if (error != SSL_ERROR_WANT_ASYNC)
        note_signature(handshake);
    wait_note(&handshake->wait, error);
    note_ask(handshake);
    if (handshake->hello->choice != NULL && !handshake->hello->passed)
        client_bio_forget(handshake->client);
    handshake->wants_write = error == SSL_ERROR_WANT_WRITE;
    switch (error) {
    case SSL_ERROR_NONE:
        return established(handshake);
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        return passed(handshake);
    case SSL_ERROR_WANT_READ:
        return wants_read(handshake, more);
    case SSL_ERROR_WANT_WRITE:
    case SSL_ERROR_WANT_ASYNC:
    case SSL_ERROR_WANT_ASYNC_JOB:
    case SSL_ERROR_WANT_X509_LOOKUP: /* admission holds it back */
        return false;
    default:
        return failed(handshake, error);
    }
}

void handshake_release(struct handshake *handshake)
{
    SSL *ssl = handshake->ssl;
    wait_cancel(&handshake->wait, ssl);
    /* otherwise libssl discards the session because close_notify is missing (RFC 5246, 7.2.1) */
    if (ssl != NULL)
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    handshake->ssl = NULL;
}
