#include "keyd/front/session.h"

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
#include "keyd/front/line.h"
#include "keyd/front/listeners.h"
#include "wire/message.h"

/* The output has room for the answers to all requests that are in flight when input pauses: SIGNED
 * frames of the longest kind. */
#define SIGNED_FRAME_MAX (WIRE_HEADER_SIZE + 1 + 8 + 8 + WIRE_SIGNATURE_MAX)
#define TOLD_STEP (50 * NS_PER_US) /* the resolution of the times in replies */
#define OUTPUT_LIMIT                                                                               \
    (SESSION_OUTPUT_PAUSE + WIRE_FRAME_MAX + (size_t)WIRE_IN_FLIGHT_MAX * SIGNED_FRAME_MAX)

/* Logs a line about a session that its peer has caused, within the budget of the account. */
#define session_log(session, ...)                                                                  \
    do {                                                                                           \
        if (audit_admits(&(session)->server->audit, (session)->account, ACCOUNT_LINE_SESSION))     \
            log_warning(__VA_ARGS__);                                                              \
    } while (0)

void session_rewatch(struct session *session)
{
    bool reading = !session->paused && !session->ending && !list_linked(&session->input_node) &&
                   !session->server->stopping;
    uint32_t events =
        EPOLLHUP | (reading ? EPOLLIN : 0u) | (timer_is_running(&session->stall) ? EPOLLOUT : 0u);
    if (!watch_want(&session->server->loop, &session->watch, events))
        session_end(session);
}

static void session_ready(struct watch *watch, uint32_t events)
{
    struct session *session = list_entry(watch, struct session, watch);
    events &= watch->wanted | EPOLLHUP | EPOLLERR;
    if (events & EPOLLIN) {
        if (list_linked(&session->input_node))
            session_rewatch(session); /* its input is known and waits for the account's turn */
        else
            line_add(session->server, session->account, &session->input_node);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        session_end(session);
    }
    if (watch->descriptor >= 0 && (events & EPOLLOUT))
        session_schedule_flush(session, true);
}

static void greeting_expired(struct timer *timer)
{
    struct session *session = list_entry(timer, struct session, greeting);
    session->server->ungreeted--;
    session_refuse(session, IMMURE_E_STALLED, "the client sent no HELLO in time");
}

static void stall_expired(struct timer *timer)
{
    struct session *session = list_entry(timer, struct session, stall);
    session_log(session,
                "session of uid %u ends: %s: %zu bytes of replies unread, %zu requests in flight",
                (unsigned)session->peer.uid, immure_error_text(IMMURE_E_STALLED),
                buffer_length(&session->output), session->in_flight);
    session_end(session);
}

static void free_ended(struct work *work)
{
    struct session *session = list_entry(work, struct session, freed);
    struct keyd_server *server = session->server;
    session_free(session);
    listeners_resume(server);
}

/* Called when the session has ended and its last job is done. */
static void free_at_end_of_turn(struct session *session)
{
    list_remove(&session->node);
    work_queue(&session->server->loop, &session->freed);
}

bool session_begin(struct keyd_server *server, int socket, const struct peer *peer,
                   struct account *account)
{
    struct session *session = calloc(1, sizeof *session);
    bool good = session != NULL &&
                queue_open_session(&server->scheduler->queue, &session->queue, &account->queue);
    if (good) {
        watch_init(&session->watch, session_ready);
        watch_open(&session->watch, socket, WATCH_LEVEL);
        good = watch_want(&server->loop, &session->watch, EPOLLIN | EPOLLHUP);
    }
    if (!good) {
        log_error("session refused: %s", strerror(errno));
        if (session != NULL)
            queue_close_session(&session->queue);
        free(peer->groups);
        free(session);
        close(socket);
        return false;
    }
    session->server = server;
    session->number = server->stats.sessions_total++;
    session->peer = *peer;
    session->account = account;
    session->output = BUFFER_INIT_SECRET(OUTPUT_LIMIT);
    wire_decoder_init(&session->decoder, WIRE_CLIENT);
    list_init(&session->input_node);
    list_init(&session->unflushed_node);
    list_init(&session->jobs);
    timer_init(&session->greeting, greeting_expired);
    timer_init(&session->stall, stall_expired);
    work_init(&session->freed, free_ended);
    timer_start(&server->loop, &session->greeting, SESSION_GREETING);
    server->ungreeted++;
    list_append(&server->sessions, &session->node);
    list_append(&account->sessions, &session->account_node);
    account->session_count++;
    server->session_count++;
    log_debug("session of uid %u begins", (unsigned)peer->uid);
    return true;
}

/* Charges the account for the memory of the unread replies, as it has grown or shrunk. */
static void count_unread(struct session *session)
{
    size_t before = session->unread, now = session->output.capacity;
    session->unread = now;
    session->account->unread += now - before;
    if (now > before)
        account_hold(session->account, &session->held, now - before);
    else if (now < before)
        account_let_go(session->account, &session->held, before - now);
    if (now < before)
        line_resume(session->server, session->account);
}

/* Removes the waiting jobs. Those that are being signed are finished, and not answered. */
static void drop_jobs(struct session *session)
{
    struct keyd_server *server = session->server;
    list_for_each(node, &session->jobs)
    {
        struct job *job = list_entry(node, struct job, session_node);
        if (!queue_withdraw(&server->scheduler->queue, job))
            continue;
        session_remove_job(session, job);
        server->stats.cancelled++;
        job_free(job);
    }
}

void session_end(struct session *session)
{
    struct keyd_server *server = session->server;
    if (session->watch.descriptor < 0)
        return;
    watch_close(&server->loop, &session->watch);
    session_greeted(session);
    timer_stop(&server->loop, &session->stall);
    struct list *nodes[] = {&session->node, &session->account_node, &session->input_node,
                            &session->unflushed_node};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        list_remove(nodes[i]);
    list_append(&server->leaving, &session->node);
    drop_jobs(session);
    buffer_release(&session->output);
    wire_decoder_release(&session->decoder);
    count_unread(session);
    if (session->in_flight == 0)
        free_at_end_of_turn(session);
    session->account->session_count--;
    server->session_count--;
    log_debug("session of uid %u ends", (unsigned)session->peer.uid);
}

void session_free(struct session *session)
{
    queue_close_session(&session->queue);
    peer_free(&session->peer);
    free(session);
}

void session_greeted(struct session *session)
{
    if (!timer_is_running(&session->greeting))
        return;
    timer_stop(&session->server->loop, &session->greeting);
    session->server->ungreeted--;
}

void session_forgive(struct session *session, uint64_t ns)
{
    if (timer_is_running(&session->greeting))
        timer_start_at(&session->server->loop, &session->greeting, session->greeting.expires + ns);
}

bool session_has_room(const struct session *session, size_t bytes)
{
    return account_has_room(session->account, session->held, bytes);
}

void session_add_job(struct session *session, struct job *job)
{
    job->session = session;
    keyring_hold(job->key);
    list_append(&session->jobs, &job->session_node);
    in_flight_add(&session->server->in_flight, job, session->number);
    session->in_flight++;
    account_hold(session->account, &session->held, job_cost(job->key, job->message_length));
}

void session_remove_job(struct session *session, struct job *job)
{
    list_remove(&job->session_node);
    in_flight_remove(&session->server->in_flight, job, session->number);
    session->in_flight--;
    account_let_go(session->account, &session->held, job_cost(job->key, job->message_length));
    keyring_drop(session->server->keyring, job->key);
    if (session->watch.descriptor < 0 && session->in_flight == 0)
        free_at_end_of_turn(session);
}

void session_schedule_flush(struct session *session, bool put)
{
    if (session->watch.descriptor < 0)
        return;
    if (!put) {
        log_error("session of uid %u ends: out of memory for its replies",
                  (unsigned)session->peer.uid);
        session_end(session);
        return;
    }
    count_unread(session);
    if (!list_linked(&session->unflushed_node))
        list_append(&session->server->unflushed, &session->unflushed_node);
}

/* A reply says neither how long a decryption took nor how long it waited for others: timing could
 * tell whether the padding was good. */
static bool put_decrypted(struct session *session, const struct job *job)
{
    struct wire_decrypted answer = {.backend = job->driver->number, .premaster = job->result};
    return wire_put_decrypted(&session->output, job->id, &answer);
}

/* Rounds to the nearest step: clients must not know the exact time of a private operation. */
static uint64_t coarse(uint64_t ns)
{
    return (ns + TOLD_STEP / 2) / TOLD_STEP * TOLD_STEP;
}

static bool put_signed(struct session *session, const struct job *job)
{
    struct wire_signed answer = {.backend = job->driver->number,
                                 .queue_ns = coarse(job->queue_ns),
                                 .sign_ns = coarse(job->sign_ns),
                                 .signature = job->result,
                                 .signature_length = job->result_length};
    return wire_put_signed(&session->output, job->id, &answer);
}

void session_answer(struct session *session, const struct job *job)
{
    session_schedule_flush(session, job->operation == JOB_DECRYPT ? put_decrypted(session, job)
                                                                  : put_signed(session, job));
    PROBE(immured, signature_released, session, job->id, job->queue_ns, job->sign_ns);
}

void session_error(struct session *session, uint64_t id, enum immure_error error, const char *text)
{
    if (text == NULL)
        text = immure_error_text(error);
    struct wire_error answer = {.error = error, .text = text, .text_length = strlen(text)};
    session_schedule_flush(session, wire_put_error(&session->output, id, &answer));
}

void session_refuse(struct session *session, enum immure_error error, const char *text)
{
    session_log(session, "session of uid %u ends: %s", (unsigned)session->peer.uid,
                text != NULL ? text : immure_error_text(error));
    drop_jobs(session);
    session->ending = true;
    session_error(session, 0, error, text);
}

/* The client has read something, so the stall timer starts again. */
static void note_progress(struct session *session)
{
    struct keyd_server *server = session->server;
    if (buffer_length(&session->output) > 0) {
        timer_start(&server->loop, &session->stall, server->config->stall_timeout);
    } else {
        timer_stop(&server->loop, &session->stall);
        buffer_release(&session->output);
    }
    count_unread(session);
}

void session_flush(struct session *session)
{
    size_t length = buffer_length(&session->output);
    if (length > 0) {
        ssize_t sent = send(session->watch.descriptor, buffer_bytes(&session->output), length,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            session_end(session);
            return;
        }
        if (sent > 0)
            buffer_consume(&session->output, (size_t)sent);
        if (sent > 0 || !timer_is_running(&session->stall))
            note_progress(session);
    }
    if (session->paused && buffer_length(&session->output) < SESSION_OUTPUT_PAUSE) {
        session->paused = false;
        line_add(session->server, session->account, &session->input_node);
    }
    session_end_or_watch(session);
}

void session_end_or_watch(struct session *session)
{
    if (session->watch.descriptor < 0)
        return;
    bool answered = session->ending || (session->server->stopping && session->in_flight == 0);
    if (answered && buffer_length(&session->output) == 0)
        session_end(session);
    else
        session_rewatch(session);
}

bool session_is_idle(const struct session *session)
{
    return session->in_flight == 0 && buffer_length(&session->output) == 0;
}

void session_give_way(struct session *session)
{
    session_log(session, "session of uid %u ends: it was silent, and there is no room for another",
                (unsigned)session->peer.uid);
    session_end(session);
}
