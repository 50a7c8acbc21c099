#include "keyd/front/dispatch.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/probe.h"
#include "keyd/front/key_list.h"
#include "keyd/front/rights.h"
#include "wire/message.h"
#include "wire/stats.h"

static enum immure_error handle_hello(struct session *session, const struct wire_frame *frame)
{
    struct wire_hello hello;
    enum immure_error error = wire_get_hello(frame, &hello);
    if (error != IMMURE_OK || hello.lowest > hello.highest)
        return IMMURE_E_MALFORMED;
    uint16_t version = wire_version_agree(&hello);
    if (version == 0)
        return IMMURE_E_VERSION;
    session->decoder.version = version;
    struct wire_welcome welcome = {
        .version = version,
        .in_flight = WIRE_IN_FLIGHT_MAX,
        .started = (uint32_t)(session->server->started_wall / NS_PER_S),
    };
    session_greeted(session);
    session_schedule_flush(session, wire_put_welcome(&session->output, &welcome));
    return IMMURE_OK;
}

static enum immure_error check_decrypt(const struct key *key, const struct wire_request *request,
                                       struct policy_refusal *refusal)
{
    *refusal = policy_check_decrypt(key->decrypt, key->signature_max, request->input_length,
                                    request->client_version);
    return refusal->reason != NULL ? IMMURE_E_POLICY : IMMURE_OK;
}

static enum immure_error check_sign(struct keyd_server *server, const struct key *key,
                                    const struct wire_request *request,
                                    struct policy_refusal *refusal, char text[WIRE_ERROR_TEXT_MAX])
{
    if (!key_can_sign(key, request->scheme)) {
        snprintf(text, WIRE_ERROR_TEXT_MAX, "the key cannot sign under SignatureScheme 0x%04x (%s)",
                 request->scheme, immure_scheme_name(request->scheme));
        refusal->reason = text;
        return IMMURE_E_SCHEME;
    }
    const struct policy_request asked = {.policy = key->policy,
                                         .every_group = key->every_group,
                                         .spki = key->spki,
                                         .spki_length = key->spki_length,
                                         .curve = key->group,
                                         .scheme = wire_scheme_find(request->scheme),
                                         .message = request->input,
                                         .length = request->input_length};
    *refusal = policy_check(&asked, &server->ecdhe);
    return refusal->reason != NULL ? IMMURE_E_POLICY : IMMURE_OK;
}

/* Whether the client may make this request of the key (NULL: there is no such key). If not,
 * refusal->reason is a literal, or `text`, or NULL where the error says enough. */
static enum immure_error check(struct session *session, const struct key *key, bool may,
                               const struct wire_request *request, struct policy_refusal *refusal,
                               char text[WIRE_ERROR_TEXT_MAX])
{
    if (key == NULL)
        return IMMURE_E_UNKNOWN_KEY;
    if (may && key->on_demand && compact_is_damaged(key)) {
        refusal->reason = "the key is damaged, or is not that of its certificate";
        return IMMURE_E_SIGNING;
    }
    if (may)
        return request->type == WIRE_DECRYPT
                   ? check_decrypt(key, request, refusal)
                   : check_sign(session->server, key, request, refusal, text);
    snprintf(text, WIRE_ERROR_TEXT_MAX, "uid %u may not use key \"%s\"",
             (unsigned)session->peer.uid, key->name);
    refusal->reason = text;
    return IMMURE_E_PEER;
}

/* Tells the client and the audit why a request is refused. Only the audit names a key that the
 * client may not use. */
static void refuse(struct session *session, const struct key *key,
                   const struct wire_request *request, enum immure_error error,
                   const struct policy_refusal *refusal)
{
    struct keyd_server *server = session->server;
    const struct audit_request asked = {
        .key = key, .key_id = request->key_id, .scheme = request->scheme, .alarm = refusal->alarm};
    audit_refused(&server->audit, session->account, &session->peer, &asked, error, refusal->reason);
    ++*(error == IMMURE_E_BUSY ? &server->stats.busy : &server->stats.refused);
    session_error(session, request->id, error, error == IMMURE_E_PEER ? NULL : refusal->reason);
}

static struct key_limit limit_of(const struct key *key)
{
    return key != NULL ? (struct key_limit){.rate = &key->rate, .bucket = key->bucket}
                       : (struct key_limit){.rate = NULL};
}

/* Whether the request is allowed; if not, it was refused and answered. A request that is refused
 * here counts towards the client's rate. One that is allowed is charged later, because a
 * refusal for want of room must not count. */
static bool is_allowed(struct session *session, const struct key *key,
                       const struct wire_request *request)
{
    struct keyd_server *server = session->server;
    const struct rate *all = &server->config->rate;
    bool may = key != NULL && rights_allow(server, &session->peer, &key->allow);
    char text[WIRE_ERROR_TEXT_MAX];
    struct policy_refusal refusal = {.reason = NULL};
    if (!account_may_ask(session->account, all, limit_of(may ? key : NULL), server->loop.now)) {
        refusal.reason = "the client asks more often than its rate allows";
        refuse(session, key, request, IMMURE_E_BUSY, &refusal);
        return false;
    }
    enum immure_error error = check(session, key, may, request, &refusal, text);
    if (error == IMMURE_OK)
        return true;
    account_charge(session->account, all, limit_of(may ? key : NULL), server->keyring->bucket_count,
                   server->loop.now);
    refuse(session, key, request, error, &refusal);
    return false;
}

static struct job *make_job(const struct key *key, const struct wire_request *request)
{
    const struct wire_scheme *scheme =
        request->type == WIRE_SIGN ? wire_scheme_find(request->scheme) : NULL;
    struct job *job = job_new(key, scheme, request->input, request->input_length);
    if (job == NULL)
        return NULL;
    job->id = request->id;
    job->client_version = request->client_version;
    return job;
}

/* Queues the job. False: there is no room. */
static bool submit(struct session *session, const struct key *key,
                   const struct wire_request *request)
{
    struct keyd_server *server = session->server;
    struct job *job = make_job(key, request);
    if (job == NULL)
        return false;
    if (request->time_left != 0)
        job->deadline = server->loop.now + request->time_left * NS_PER_US;
    if (!queue_submit(&server->scheduler->queue, job, &session->queue, server->loop.now)) {
        job_free(job);
        return false;
    }
    session_add_job(session, job);
    return true;
}

/* Queues an allowed request, or says that there is no room. */
static void admit(struct session *session, const struct key *key,
                  const struct wire_request *request)
{
    struct keyd_server *server = session->server;
    const char *reason = "too much waits to be signed";
    if (session->in_flight >= WIRE_IN_FLIGHT_MAX)
        reason = "too many requests of this client are in flight";
    else if (!session_has_room(session, job_cost(key, request->input_length)))
        reason = "the requests and unread replies of this client take too much memory";
    else if (submit(session, key, request)) {
        account_charge(session->account, &server->config->rate, limit_of(key),
                       server->keyring->bucket_count, server->loop.now);
        return;
    }
    server->stats.busy++;
    session_error(session, request->id, IMMURE_E_BUSY, reason);
}

static enum immure_error take_request(struct session *session, const struct wire_request *request)
{
    struct keyd_server *server = session->server;
    const struct key *key;
    if (in_flight_find(&server->in_flight, session->number, request->id) != NULL)
        return IMMURE_E_MALFORMED;
    if (!keyring_use(server->keyring, request->key_id, &key)) {
        server->stats.busy++;
        session_error(session, request->id, IMMURE_E_BUSY, "immured is out of memory");
        return IMMURE_OK;
    }
    if (is_allowed(session, key, request))
        admit(session, key, request);
    keyring_drop(server->keyring, key);
    return IMMURE_OK;
}

static enum immure_error handle_request(struct session *session, const struct wire_frame *frame)
{
    struct wire_request request;
    enum immure_error error = wire_get_request(frame, &request);
    if (error != IMMURE_OK)
        return error;
    if (request.type == WIRE_SIGN) {
        session->server->stats.sign_requests++;
        PROBE(immured, request_received, session, frame->id, request.scheme);
    }
    return take_request(session, &request);
}

/* A job that a signer has begun is answered as if there had been no CANCEL. */
static enum immure_error handle_cancel(struct session *session, const struct wire_frame *frame)
{
    struct keyd_server *server = session->server;
    struct job *job = in_flight_find(&server->in_flight, session->number, frame->id);
    if (job != NULL && queue_withdraw(&server->scheduler->queue, job)) {
        job->error = IMMURE_E_CANCELLED;
        dispatch_done(server, job);
    }
    return IMMURE_OK;
}

static enum immure_error handle_stats(struct session *session, const struct wire_frame *frame)
{
    const struct keyd_server *server = session->server;
    const struct stats *stats = &server->stats;
    const struct scheduler *scheduler = server->scheduler;
    struct wire_figure figures[WIRE_STATS_MAX] = {
        {WIRE_STAT_UPTIME_SECONDS, (server->loop.now - server->started) / NS_PER_S},
        {WIRE_STAT_KEYS, keyring_count(server->keyring)},
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
        {WIRE_STAT_QUEUED, scheduler->queue.share.jobs},
        {WIRE_STAT_BATCHES_TOTAL, scheduler->batches},
        {WIRE_STAT_QUEUE_AGE_US, queue_age(&scheduler->queue, server->loop.now) / NS_PER_US},
        {WIRE_STAT_LANE_BATCHES_TOTAL, scheduler->lane_batches},
        {WIRE_STAT_LANES_FILLED_TOTAL, scheduler->lanes_filled},
        {WIRE_STAT_SIGNED_AGAIN_TOTAL, stats->signed_again},
    };
    size_t count = 0;
    while (figures[count].number != 0)
        count++;
    for (const struct driver *const *driver = server->prototypes;
         *driver != NULL && count + 1 < WIRE_STATS_MAX; driver++)
        if ((*driver)->figure != 0)
            figures[count++] =
                (struct wire_figure){(*driver)->figure, stats->by_driver[(*driver)->number]};
    figures[count++] = (struct wire_figure){WIRE_STAT_DECRYPTIONS_TOTAL, stats->decryptions};
    session_schedule_flush(session, wire_put_figures(&session->output, frame->id, figures, count));
    return IMMURE_OK;
}

static enum immure_error handle_tickets(struct session *session, const struct wire_frame *frame)
{
    const struct ticket_secret *tickets = &session->server->tickets;
    uint8_t keys[2][WIRE_TICKET_KEY_SIZE];
    if (!tickets_configured(tickets)) {
        session_error(session, frame->id, IMMURE_E_NO_TICKETS, NULL);
        return IMMURE_OK;
    }
    uint64_t wall_ms = clock_wall() / NS_PER_MS;
    uint64_t epoch_ms = UINT64_C(1000) * tickets->epoch_seconds;
    struct wire_ticket_keys answer = {.epoch_seconds = tickets->epoch_seconds,
                                      .time_left = (uint32_t)(epoch_ms - wall_ms % epoch_ms),
                                      .epoch = wall_ms / epoch_ms,
                                      .current = keys[0],
                                      .previous = keys[1]};
    if (tickets_derive(tickets, answer.epoch, keys[0]) &&
        tickets_derive(tickets, answer.epoch - 1, keys[1]))
        session_schedule_flush(session, wire_put_ticket_keys(&session->output, frame->id, &answer));
    else
        session_error(session, frame->id, IMMURE_E_BUSY, "libcrypto cannot derive a ticket key");
    OPENSSL_cleanse(keys, sizeof keys);
    return IMMURE_OK;
}

static enum immure_error handle_ping(struct session *session, const struct wire_frame *frame)
{
    session_schedule_flush(session, wire_put_plain(&session->output, WIRE_PONG, frame->id,
                                                   frame->payload, frame->length));
    return IMMURE_OK;
}

static const struct {
    enum wire_type type;
    enum immure_error (*handle)(struct session *session, const struct wire_frame *frame);
    bool aside; /* charged by account_take_aside(): the rates are for signatures only */
} requests[] = {
    {WIRE_SIGN, handle_request, false}, {WIRE_DECRYPT, handle_request, false},
    {WIRE_CANCEL, handle_cancel, true}, {WIRE_PING, handle_ping, true},
    {WIRE_STATS, handle_stats, true},   {WIRE_LIST, key_list_answer, true},
    {WIRE_HELLO, handle_hello, false},  {WIRE_TICKETS, handle_tickets, true},
};

/* What a LIST costs grows with the keys that its answer may have. */
#define KEYS_PER_TOKEN 64

static unsigned price(const struct session *session, const struct wire_frame *frame)
{
    size_t keys = keyring_count(session->server->keyring);
    return frame->type == WIRE_LIST ? 1 + (unsigned)(key_list_most(keys) / KEYS_PER_TOKEN) : 1;
}

enum immure_error dispatch(struct session *session, const struct wire_frame *frame)
{
    /* id 0 means the stream itself */
    if ((frame->id == 0) != (frame->type == WIRE_HELLO))
        return IMMURE_E_MALFORMED;
    size_t i = 0;
    while (i < sizeof requests / sizeof requests[0] && requests[i].type != frame->type)
        i++;
    if (i == sizeof requests / sizeof requests[0])
        return IMMURE_E_FRAME_TYPE;
    if (!requests[i].aside ||
        account_take_aside(session->account, price(session, frame), session->server->loop.now))
        return requests[i].handle(session, frame);
    /* to ignore a CANCEL is harmless: any CANCEL may come too late */
    if (frame->type != WIRE_CANCEL)
        session_error(session, frame->id, IMMURE_E_BUSY, "the client asks too often");
    return IMMURE_OK;
}

static uint64_t *outcome_counter(struct stats *stats, const struct job *job)
{
    switch (job->error) {
    case IMMURE_OK:
        return job->operation == JOB_SIGN ? &stats->signatures : &stats->decryptions;
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

void dispatch_done(struct keyd_server *server, struct job *job)
{
    struct session *session = job->session;
    ++*outcome_counter(&server->stats, job);
    server->stats.signed_again += job->signed_again;
    if (job->error == IMMURE_OK && job->operation == JOB_SIGN)
        server->stats.by_driver[job->driver->number]++;
    if (job->error == IMMURE_E_BUSY)
        account_give_back(session->account, &server->config->rate, limit_of(job->key));
    bool waited_for = session->watch.descriptor >= 0 && !session->ending;
    if (waited_for && job->error == IMMURE_OK) {
        audit_signed(&server->audit, session->account, &session->peer, job);
        session_answer(session, job);
    } else if (waited_for) {
        session_error(session, job->id, job->error, NULL);
    }
    session_remove_job(session, job);
    job_free(job);
}
