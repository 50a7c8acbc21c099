#include "keyd/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/probe.h"
#include "keyd/dispatch.h"
#include "wire/message.h"

/* What is in flight when input pauses can still be answered: SIGNED frames of the longest kind. */
#define SIGNED_FRAME_MAX (WIRE_HEADER_SIZE + 1 + 8 + 8 + WIRE_SIGNATURE_MAX)
#define TOLD_STEP (50 * NS_PER_US) /* of the times in replies */
#define OUTPUT_LIMIT                                                                               \
    (SESSION_OUTPUT_PAUSE + WIRE_FRAME_MAX + (size_t)WIRE_IN_FLIGHT_MAX * SIGNED_FRAME_MAX)

static void session_ready(struct source *source, uint32_t events);

static bool session_watch(struct session *session, uint32_t events)
{
    if (events == session->watched)
        return true;
    session->watched = events;
    return server_watch(session->server, EPOLL_CTL_MOD, session->socket, events, &session->source);
}

/* What epoll shall report follows from the session's state. */
static void session_rewatch(struct session *session)
{
    bool reading = !session->paused && !session->ending && !server_stopping(session->server);
    bool blocked = list_linked(&session->blocked_node);
    if (!session_watch(session, (reading ? EPOLLIN : 0u) | (blocked ? EPOLLOUT : 0u)))
        session_end(session);
}

bool session_begin(struct server *server, int socket, const struct peer *peer)
{
    struct session *session = calloc(1, sizeof *session);
    struct account *account =
        account_open(&server->accounts, peer->uid, server->keyring->count, server->now);
    if (session == NULL || account == NULL ||
        !server_watch(server, EPOLL_CTL_ADD, socket, EPOLLIN, &session->source)) {
        log_error("session refused: %s", strerror(errno));
        if (account != NULL)
            account_close(account);
        free(peer->groups);
        free(session);
        close(socket);
        return false;
    }
    *session = (struct session){.source = {session_ready},
                                .server = server,
                                .socket = socket,
                                .peer = *peer,
                                .account = account,
                                .watched = EPOLLIN,
                                .output = BUFFER_INIT(OUTPUT_LIMIT)};
    wire_decoder_init(&session->decoder, WIRE_CLIENT);
    list_init(&session->unflushed_node);
    list_init(&session->blocked_node);
    for (size_t i = 0; i < SESSION_BUCKETS; i++)
        list_init(&session->jobs[i]);
    for (size_t i = 0; i < KINDS_MAX; i++)
        flow_init(&session->flows[i]);
    list_append(&server->sessions, &session->node);
    server->session_count++;
    server->stats.sessions_total++;
    log_debug("session of uid %u begins", (unsigned)peer->uid);
    return true;
}

static void drop_jobs(struct session *session)
{
    struct server *server = session->server;
    for (size_t i = 0; i < SESSION_BUCKETS; i++) {
        for (struct list *node; (node = list_take(&session->jobs[i])) != NULL;) {
            struct job *job = list_entry(node, struct job, session_node);
            job->session = NULL;
            if (queue_withdraw(&server->scheduler->queue, job)) {
                server->stats.cancelled++;
                job_free(job);
            }
        }
    }
    session->in_flight = 0;
}

void session_end(struct session *session)
{
    if (session->socket < 0)
        return;
    drop_jobs(session);
    descriptor_close(&session->socket);
    list_remove(&session->unflushed_node);
    list_remove(&session->blocked_node);
    list_remove(&session->node);
    list_append(&session->server->dead, &session->node);
    session->server->session_count--;
    log_debug("session of uid %u ends", (unsigned)session->peer.uid);
}

void session_free(struct session *session)
{
    account_close(session->account);
    peer_free(&session->peer);
    wire_decoder_release(&session->decoder);
    buffer_release(&session->output);
    free(session);
}

static struct list *bucket_of(struct session *session, uint64_t id)
{
    return &session->jobs[id % SESSION_BUCKETS];
}

void session_add_job(struct session *session, struct job *job)
{
    job->session = session;
    list_append(bucket_of(session, job->id), &job->session_node);
    session->in_flight++;
}

void session_remove_job(struct session *session, struct job *job)
{
    list_remove(&job->session_node);
    job->session = NULL;
    session->in_flight--;
}

struct job *session_find_job(struct session *session, uint64_t id)
{
    struct list *bucket = bucket_of(session, id);
    list_for_each(node, bucket)
    {
        struct job *job = list_entry(node, struct job, session_node);
        if (job->id == id)
            return job;
    }
    return NULL;
}

void session_replied(struct session *session, bool put)
{
    if (session->socket < 0)
        return;
    if (!put) {
        log_error("session of uid %u ends: out of memory for its replies",
                  (unsigned)session->peer.uid);
        session_end(session);
    } else if (!list_linked(&session->unflushed_node)) {
        list_append(&session->server->unflushed, &session->unflushed_node);
    }
}

/* Nobody is told how long a decryption took, nor how long others took that it waited for. */
static bool put_decrypted(struct session *session, const struct job *job)
{
    struct wire_decrypted answer = {.backend = job->backend->number, .premaster = job->signature};
    return wire_put_decrypted(&session->output, job->id, &answer);
}

/* To the nearest step: the time of a private operation is not the client's to know exactly. */
static uint64_t coarse(uint64_t ns)
{
    return (ns + TOLD_STEP / 2) / TOLD_STEP * TOLD_STEP;
}

static bool put_signed(struct session *session, const struct job *job)
{
    struct wire_signed answer = {.backend = job->backend->number,
                                 .queue_ns = coarse(job->queue_ns),
                                 .sign_ns = coarse(job->sign_ns),
                                 .signature = job->signature,
                                 .signature_length = job->signature_length};
    return wire_put_signed(&session->output, job->id, &answer);
}

void session_answer(struct session *session, const struct job *job)
{
    session_replied(session, job->operation == JOB_DECRYPT ? put_decrypted(session, job)
                                                           : put_signed(session, job));
    PROBE(immured, signature_released, session, job->id, job->queue_ns, job->sign_ns);
}

void session_error(struct session *session, uint64_t id, enum immure_error error, const char *text)
{
    if (text == NULL)
        text = immure_error_text(error);
    struct wire_error answer = {.error = error, .text = text, .text_length = strlen(text)};
    session_replied(session, wire_put_error(&session->output, id, &answer));
}

void session_refuse(struct session *session, enum immure_error error, const char *text)
{
    log_warning("session of uid %u ends: %s", (unsigned)session->peer.uid,
                text != NULL ? text : immure_error_text(error));
    drop_jobs(session);
    session->ending = true;
    session_error(session, 0, error, text);
}

/* All whole frames that have come, as long as the replies are read. */
static void take_frames(struct session *session)
{
    struct wire_frame frame;
    bool more = false;
    while (session->socket >= 0 && !session->ending && !more) {
        session->paused = buffer_length(&session->output) >= SESSION_OUTPUT_PAUSE;
        if (session->paused)
            return;
        enum immure_error error = wire_decoder_next(&session->decoder, &frame, &more);
        if (error == IMMURE_OK && !more)
            error = dispatch(session, &frame);
        if (error != IMMURE_OK) {
            session->server->stats.protocol_errors++;
            session_refuse(session, error, NULL);
        }
    }
}

static void take_input(struct session *session)
{
    size_t size;
    uint8_t *room = wire_decoder_room(&session->decoder, &size);
    if (room == NULL) {
        session_replied(session, false);
        return;
    }
    /* recv(), never recvmsg(): no descriptor can come in */
    ssize_t got = recv(session->socket, room, size, MSG_DONTWAIT);
    if (got > 0) {
        wire_decoder_received(&session->decoder, (size_t)got);
        take_frames(session);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        session_end(session);
    }
}

static void session_ready(struct source *source, uint32_t events)
{
    struct session *session = (struct session *)source;
    if (session->socket < 0)
        return; /* it ended earlier in this turn */
    if (events & session->watched & EPOLLIN)
        take_input(session);
    else if (events & (EPOLLHUP | EPOLLERR))
        session_end(session);
    if (session->socket >= 0 && (events & EPOLLOUT))
        session_replied(session, true);
    if (session->socket >= 0)
        session_rewatch(session);
}

/* Progress starts the stall time anew, so the list stays in order of it. */
static void note_progress(struct session *session)
{
    list_remove(&session->blocked_node);
    if (buffer_length(&session->output) > 0) {
        session->give_up = session->server->now + session->server->config->stall_timeout;
        list_append(&session->server->blocked, &session->blocked_node);
    }
}

void session_flush(struct session *session)
{
    size_t length = buffer_length(&session->output);
    if (length > 0) {
        ssize_t sent = send(session->socket, buffer_bytes(&session->output), length,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            session_end(session);
            return;
        }
        if (sent > 0)
            buffer_consume(&session->output, (size_t)sent);
        if (sent > 0 || !list_linked(&session->blocked_node))
            note_progress(session);
    }
    if (session->paused)
        take_frames(session);
    session_drain(session);
}

void session_drain(struct session *session)
{
    if (session->socket < 0)
        return;
    bool last = session->ending || server_stopping(session->server);
    if (last && session->in_flight == 0 && buffer_length(&session->output) == 0)
        session_end(session);
    else
        session_rewatch(session);
}

void session_stalled(struct session *session)
{
    log_warning("session of uid %u ends: %s: %zu bytes of replies unread, %zu requests in flight",
                (unsigned)session->peer.uid, immure_error_text(IMMURE_E_STALLED),
                buffer_length(&session->output), session->in_flight);
    session_end(session);
}
