#include "keyd/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/probe.h"
#include "wire/message.h"
#include "wire/stats.h"

static enum immure_error handle_hello(struct session *session, const struct wire_frame *frame)
{
    struct wire_hello hello;
    enum immure_error error = wire_get_hello(frame, &hello);
    if (error != IMMURE_OK || hello.lowest > hello.highest)
        return IMMURE_E_MALFORMED;
    if (hello.lowest > WIRE_VERSION || hello.highest < WIRE_VERSION)
        return IMMURE_E_VERSION;
    struct wire_welcome welcome = {
        .version = WIRE_VERSION,
        .in_flight = WIRE_IN_FLIGHT_MAX,
        .started = (uint32_t)(session->server->started_wall / NS_PER_S),
    };
    session_replied(session, wire_put_welcome(&session->output, &welcome));
    return IMMURE_OK;
}

#define KEYS_AT_ONCE 1024 /* more never fit into a frame */

static enum immure_error handle_list(struct session *session, const struct wire_frame *frame)
{
    const struct keyring *keyring = session->server->keyring;
    struct wire_list list;
    enum immure_error error = wire_get_list(frame, &list);
    if (error != IMMURE_OK)
        return IMMURE_E_MALFORMED;
    struct wire_key keys[KEYS_AT_ONCE];
    uint32_t visible = 0; /* positions count the keys that this client may use */
    size_t count = 0, put;
    for (size_t i = 0; i < keyring->count; i++) {
        const struct key *key = keyring->keys[i];
        if (!server_allows(session->server, &session->peer, key))
            continue;
        if (visible++ < list.first || count == KEYS_AT_ONCE)
            continue;
        struct wire_key *row = &keys[count++];
        *row = (struct wire_key){.id = key->id,
                                 .name = key->name,
                                 .name_length = strlen(key->name),
                                 .spki = key->spki,
                                 .spki_length = key->spki_length,
                                 .backend = key->kind->single->number,
                                 .scheme_count = key->scheme_count};
        memcpy(row->schemes, key->schemes, sizeof row->schemes);
        if (key->kind->batch != NULL) {
            row->lanes_backend = key->kind->batch->number;
            row->lanes_from = (uint8_t)key->kind->threshold;
            row->lanes = (uint8_t)key->kind->width;
        }
    }
    if (list.first > visible)
        return IMMURE_E_MALFORMED;
    session_replied(session, wire_put_keys(&session->output, frame->id, keys, count, list.first,
                                           visible, &put));
    return IMMURE_OK;
}

/* Whether the client may have this signed with the key (NULL: there is none); if not, *reason is a
 * literal, or in `text`, or NULL where the error says it all. */
static enum immure_error check(const struct session *session, const struct key *key,
                               const struct wire_sign *sign, const char **reason,
                               char text[WIRE_ERROR_TEXT_MAX])
{
    const struct server *server = session->server;
    *reason = text;
    if (key == NULL) {
        *reason = NULL;
        return IMMURE_E_UNKNOWN_KEY;
    }
    if (!server_allows(server, &session->peer, key)) {
        snprintf(text, WIRE_ERROR_TEXT_MAX, "uid %u may not use key \"%s\"",
                 (unsigned)session->peer.uid, key->name);
        return IMMURE_E_PEER;
    }
    if (!key_can_sign(key, sign->scheme)) {
        snprintf(text, WIRE_ERROR_TEXT_MAX, "the key cannot sign under SignatureScheme 0x%04x (%s)",
                 sign->scheme, immure_scheme_name(sign->scheme));
        return IMMURE_E_SCHEME;
    }
    *reason = policy_check(key->policy, wire_scheme_find(sign->scheme), key->group, sign->message,
                           sign->message_length);
    if (*reason != NULL)
        return IMMURE_E_POLICY;
    *reason = "the client asks more often than its rate allows";
    return account_take(session->account, &server->config->rate, &key->rate, key->index,
                        server->now)
               ? IMMURE_OK
               : IMMURE_E_BUSY;
}

/* The key that shall sign, if it may; otherwise the request was answered. */
static const struct key *key_for(struct session *session, uint64_t id, const struct wire_sign *sign)
{
    struct server *server = session->server;
    const struct key *key = keyring_find(server->keyring, sign->key_id);
    char text[WIRE_ERROR_TEXT_MAX];
    const char *reason;
    enum immure_error error = check(session, key, sign, &reason, text);
    if (error == IMMURE_OK)
        return key;
    const struct audit_request request = {
        .key = key, .key_id = sign->key_id, .scheme = sign->scheme};
    audit_refused(&server->audit, &session->peer, &request, error, reason);
    ++*(error == IMMURE_E_BUSY ? &server->stats.busy : &server->stats.refused);
    session_error(session, id, error, reason);
    return NULL;
}

static enum immure_error handle_sign(struct session *session, const struct wire_frame *frame)
{
    struct server *server = session->server;
    struct wire_sign sign;
    enum immure_error error = wire_get_sign(frame, &sign);
    if (error != IMMURE_OK)
        return error;
    server->stats.sign_requests++;
    PROBE(immured, request_received, session, frame->id, sign.scheme);
    const struct key *key = key_for(session, frame->id, &sign);
    if (key == NULL)
        return IMMURE_OK;

    struct job *job = NULL;
    const char *reason = "too many requests of this client are in flight";
    if (session->in_flight < WIRE_IN_FLIGHT_MAX) {
        reason = "too much waits to be signed";
        job = job_new(key, wire_scheme_find(sign.scheme), sign.message, sign.message_length);
    }
    if (job != NULL) {
        job->id = frame->id;
        if (sign.time_left != 0)
            job->deadline = server->now + sign.time_left * NS_PER_US;
        session_add_job(session, job);
        if (queue_submit(&server->scheduler->queue, job, &session->flows[key->kind->index],
                         server->now))
            return IMMURE_OK;
        session_remove_job(session, job);
        job_free(job);
    }
    server->stats.busy++;
    session_error(session, frame->id, IMMURE_E_BUSY, reason);
    return IMMURE_OK;
}

/* What a signer has begun is answered as if nothing had been said. */
static enum immure_error handle_cancel(struct session *session, const struct wire_frame *frame)
{
    struct job *job = session_find_job(session, frame->id);
    if (job != NULL && queue_withdraw(&session->server->scheduler->queue, job)) {
        job->error = IMMURE_E_CANCELLED;
        dispatch_done(session->server, job);
    }
    return IMMURE_OK;
}

static enum immure_error handle_stats(struct session *session, const struct wire_frame *frame)
{
    const struct server *server = session->server;
    const struct stats *stats = &server->stats;
    const struct scheduler *scheduler = server->scheduler;
    const struct wire_figure figures[] = {
        {WIRE_STAT_UPTIME_SECONDS, (server->now - server->started) / NS_PER_S},
        {WIRE_STAT_KEYS, server->keyring->count},
        {WIRE_STAT_SESSIONS, server->session_count},
        {WIRE_STAT_SESSIONS_TOTAL, stats->sessions_total},
        {WIRE_STAT_SESSIONS_REFUSED_TOTAL, stats->sessions_refused},
        {WIRE_STAT_PROTOCOL_ERRORS_TOTAL, stats->protocol_errors},
        {WIRE_STAT_SIGN_REQUESTS_TOTAL, stats->sign_requests},
        {WIRE_STAT_SIGNATURES_TOTAL, stats->signatures},
        {WIRE_STAT_REFUSED_TOTAL, stats->refused},
        {WIRE_STAT_BUSY_TOTAL, stats->busy},
        {WIRE_STAT_EXPIRED_TOTAL, stats->expired},
        {WIRE_STAT_CANCELLED_TOTAL, stats->cancelled},
        {WIRE_STAT_FAILED_TOTAL, stats->failed},
        {WIRE_STAT_QUEUED, scheduler->queue.jobs},
        {WIRE_STAT_BATCHES_TOTAL, scheduler->batches},
        {WIRE_STAT_QUEUE_AGE_US, queue_age(&scheduler->queue, server->now) / NS_PER_US},
        {WIRE_STAT_LANE_BATCHES_TOTAL, scheduler->lane_batches},
        {WIRE_STAT_LANES_FILLED_TOTAL, scheduler->lanes_filled},
        {WIRE_STAT_SIGNED_AGAIN_TOTAL, stats->signed_again},
        {WIRE_STAT_SIGNATURES_OPENSSL_TOTAL, stats->by_backend[WIRE_BACKEND_OPENSSL]},
        {WIRE_STAT_SIGNATURES_MULTIBUFFER_TOTAL, stats->by_backend[WIRE_BACKEND_MULTIBUFFER]},
        {WIRE_STAT_SIGNATURES_PROVIDER_TOTAL, stats->by_backend[WIRE_BACKEND_PROVIDER]},
    };
    session_replied(session, wire_put_figures(&session->output, frame->id, figures,
                                              sizeof figures / sizeof figures[0]));
    return IMMURE_OK;
}

static enum immure_error handle_ping(struct session *session, const struct wire_frame *frame)
{
    session_replied(session, wire_put_plain(&session->output, WIRE_PONG, frame->id, frame->payload,
                                            frame->length));
    return IMMURE_OK;
}

static const struct {
    enum wire_type type;
    enum immure_error (*handle)(struct session *session, const struct wire_frame *frame);
} requests[] = {
    {WIRE_SIGN, handle_sign},   {WIRE_CANCEL, handle_cancel}, {WIRE_PING, handle_ping},
    {WIRE_STATS, handle_stats}, {WIRE_LIST, handle_list},     {WIRE_HELLO, handle_hello},
};

enum immure_error dispatch(struct session *session, const struct wire_frame *frame)
{
    /* id 0 stands for the stream itself */
    if ((frame->id == 0) != (frame->type == WIRE_HELLO))
        return IMMURE_E_MALFORMED;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        if (requests[i].type == frame->type)
            return requests[i].handle(session, frame);
    return IMMURE_E_FRAME_TYPE;
}

static uint64_t *outcome_counter(struct stats *stats, enum immure_error error)
{
    switch (error) {
    case IMMURE_OK:
        return &stats->signatures;
    case IMMURE_E_BUSY:
        return &stats->busy;
    case IMMURE_E_EXPIRED:
        return &stats->expired;
    case IMMURE_E_CANCELLED:
        return &stats->cancelled;
    default:
        return &stats->failed;
    }
}

void dispatch_done(struct server *server, struct job *job)
{
    struct session *session = job->session;
    ++*outcome_counter(&server->stats, job->error);
    server->stats.signed_again += job->signed_again;
    if (job->error == IMMURE_OK)
        server->stats.by_backend[job->backend->number]++;
    if (session != NULL) {
        session_remove_job(session, job);
        if (job->error == IMMURE_OK) {
            audit_signed(&server->audit, &session->peer, job);
            session_signed(session, job);
        } else {
            session_error(session, job->id, job->error, NULL);
        }
    }
    job_free(job);
}
