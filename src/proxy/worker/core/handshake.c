#include "proxy/worker/core/handshake.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/probe.h"
#include "proxy/config/address.h"
#include "proxy/worker/core/thread.h"
#include "proxy/worker/relay/relay.h"
#include "proxy/worker/transport/client_bio.h"

/* Of one handshake, so that nobody makes libssl work on a ClientHello in thousands of pieces. One
 * of 2 KB whose every byte is a record has fewer. */
#define HANDSHAKE_RECORDS_MAX 2048

enum handshake_version handshake_version_of(const SSL *ssl)
{
    if (ssl == NULL || SSL_get_current_cipher(ssl) == NULL)
        return VERSION_NONE;
    return SSL_version(ssl) == TLS1_3_VERSION ? VERSION_TLS13 : VERSION_TLS12;
}

/* A listener and what stands before it do not agree about PROXY headers, which is to be mended. */
static void log_proxy_header(struct connection *connection, const char *came)
{
    const struct frontend_config *frontend = connection->frontend->config;
    char peer[ADDRESS_TEXT_SIZE];
    if (!thread_may_log(connection->thread, LINE_PROXY_HEADER))
        return;
    address_print(&connection->addresses.source, peer);
    log_warning("frontend \"%s\": %s sent %s; accept-proxy is %s", frontend->name, peer, came,
                proxy_protocol_name(frontend->accept_proxy));
}

/* Of a frontend that accepts no header of `version`. */
static const char *unwanted_header(enum proxy_protocol version)
{
    return version == PROXY_PROTOCOL_V1 ? "a PROXY header of version 1"
                                        : "a PROXY header of version 2";
}

/* What has come in place of a header that is accepted. */
static const char *refused_header(const uint8_t *bytes, size_t length, enum proxy_protocol accept)
{
    enum proxy_protocol version = proxy_header_version(bytes, length);
    if (version != PROXY_PROTOCOL_NONE && version != accept && accept != PROXY_PROTOCOL_ANY)
        return unwanted_header(version);
    if (version != PROXY_PROTOCOL_NONE)
        return "a malformed PROXY header";
    return bytes[0] == SSL3_RT_HANDSHAKE ? "TLS without a PROXY header"
                                         : "something that is no PROXY header";
}

/* Those that go on wait in the flow to the backend for the header that they will be in. */
static bool keep_tlvs(struct connection *connection, const struct proxy_tlvs *tlvs)
{
    struct buffer *kept = &connection->up.pending;
    if (tlvs->length == 0 || !connection_backend(connection)->proxy_tlvs)
        return true;
    uint8_t *room = buffer_reserve(kept, tlvs->length);
    if (room == NULL)
        return false;
    buffer_commit(kept, proxy_tlvs_pass(room, tlvs));
    if (buffer_length(kept) == 0)
        buffer_release(kept);
    return true;
}

/*
 * Peeked at, so that not a byte of what follows is taken from libssl. While it is not whole all
 * that came is its beginning, and is kept in the flow to the backend, which has nothing else yet.
 */
void handshake_read_proxy_header(struct connection *connection)
{
    struct buffer *begun = &connection->up.pending;
    int descriptor = connection->client.descriptor;
    uint8_t *bytes = connection->thread->scratch;
    size_t had = buffer_length(begun);
    if (had > 0)
        memcpy(bytes, buffer_bytes(begun), had);
    ssize_t length = recv(descriptor, bytes + had, PROXY_HEADER_MAX - had, MSG_PEEK);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        connection_fail(connection, HANDSHAKE_ABORTED);
        return;
    }
    struct proxy_header header = {0};
    enum proxy_header_result result =
        proxy_header_parse(bytes, had + (size_t)length, connection->frontend->config->accept_proxy,
                           &connection->addresses, &header);
    size_t taken = result == PROXY_HEADER_MORE ? (size_t)length : header.length - had;
    if (result == PROXY_HEADER_BAD)
        log_proxy_header(connection, refused_header(bytes, had + (size_t)length,
                                                    connection->frontend->config->accept_proxy));
    if (result == PROXY_HEADER_BAD || recv(descriptor, bytes + had, taken, 0) != (ssize_t)taken ||
        (result == PROXY_HEADER_MORE && !buffer_append(begun, bytes + had, taken))) {
        connection_fail(connection, HANDSHAKE_FAILED);
        return;
    }
    if (result == PROXY_HEADER_DONE) {
        buffer_release(begun);
        if (!keep_tlvs(connection, &header.tlvs)) {
            connection_fail(connection, HANDSHAKE_FAILED);
            return;
        }
        connection->state = CONNECTION_HANDSHAKE;
        step_queue(&connection->thread->turn, STEP_BEGIN, &connection->step);
    }
}

static bool derives_together(const struct connection *connection)
{
    const struct fast_handshake *fast = connection->thread->tls->fast;
    return fast != NULL && (fast_handshake_parts(fast) & FAST_DERIVATION) != 0;
}

/* Made with the first bytes of the handshake: a connection that sends none costs none of libssl's
 * memory. */
static bool open_ssl(struct connection *connection)
{
    connection->ssl = tls_accept(connection->frontend);
    if (connection->ssl == NULL || !client_bio_use(connection, connection->thread->tls->client_bio))
        return false;
    if (connection->waiter.client != NULL || derives_together(connection))
        SSL_set_mode(connection->ssl, SSL_MODE_ASYNC);
    return true;
}

static void record_signature(struct connection *connection)
{
    const struct immure_waiter *waiter = &connection->waiter;
    const char *backend = waiter->backend != NULL ? waiter->backend : "none";
    struct sign_metrics *row = metrics_sign(connection->thread->metrics, waiter->scheme, backend);
    if (row == NULL)
        return;
    if (waiter->error != IMMURE_OK) {
        metric_add(&row->errors, 1);
        return;
    }
    metrics_signed(row, waiter->sign_ns, waiter->queue_ns, waiter->answered_at - waiter->asked_at,
                   waiter->answered_at);
}

static void established(struct connection *connection)
{
    struct thread *thread = connection->thread;
    enum handshake_result result =
        SSL_session_reused(connection->ssl) ? HANDSHAKE_RESUMED : HANDSHAKE_FULL;
    uint64_t took = clock_now() - connection->accepted_at;
    metric_add(&thread->metrics->handshakes[handshake_version_of(connection->ssl)][result], 1);
    metric_add(&thread->metrics->handshaking, (uint64_t)-1);
    histogram_record(&thread->metrics->handshake, took);
    PROBE(immure_proxy, established, connection, result, took);
    SSL_clear_mode(connection->ssl, SSL_MODE_ASYNC);
    relay_connect(connection);
}

/* An alert that tells why is libssl's to send; it has done so when this is called. */
static void failed(struct connection *connection, int error)
{
    bool peer_gone = !connection->input.too_long &&
                     (error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN ||
                      ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
    if (connection->input.proxy_header != PROXY_PROTOCOL_NONE)
        log_proxy_header(connection, unwanted_header(connection->input.proxy_header));
    if (connection->input.too_long)
        log_debug("handshake: a message of more than %d bytes", ANNOUNCED_MAX);
    else if (!peer_gone)
        log_debug("handshake: %s", ERR_reason_error_string(ERR_peek_error()));
    ERR_clear_error();
    connection_fail(connection, peer_gone ? HANDSHAKE_ABORTED : HANDSHAKE_FAILED);
}

void handshake_feed_starved(struct thread *thread)
{
    struct list *node = list_take(&thread->starved);
    if (node == NULL)
        return;
    struct connection *connection = list_entry(node, struct connection, starved);
    connection->fed = true;
    step_queue(&thread->turn, STEP_BEGIN, &connection->step);
}

/* Whether a derivation would have others beside it at the end of this turn. */
static bool has_company(const struct connection *connection)
{
    const struct thread *thread = connection->thread;
    return fast_handshake_waiting(thread->tls->fast) || step_waiting(&thread->turn, STEP_BEGIN);
}

static int do_handshake(struct connection *connection, bool *more)
{
    struct fast_handshake *fast = connection->thread->tls->fast;
    client_bio_enter(connection);
    immure_waiter_enter(&connection->waiter);
    if (fast != NULL)
        fast_handshake_enter(fast, has_company(connection) ? &connection->derivation : NULL);
    int result = SSL_do_handshake(connection->ssl);
    if (fast != NULL)
        fast_handshake_leave(fast);
    immure_waiter_leave();
    int error = SSL_get_error(connection->ssl, result);
    *more = client_bio_leave(connection);
    fibers_note(&connection->thread->fibers, &connection->has_fiber, error == SSL_ERROR_WANT_ASYNC);
    return error;
}

/* The fiber is paused: a derivation is done at the end of this turn, a signature when immured has
 * answered. */
static void wait_paused(struct connection *connection)
{
    if (connection->derivation.waits_for != NULL) {
        connection->state = CONNECTION_DERIVING;
        if (fast_handshake_full(connection->thread->tls->fast))
            fast_handshake_run(connection->thread->tls->fast);
        return;
    }
    PROBE(immure_proxy, signature_asked, connection, connection->waiter.scheme);
    connection->state = CONNECTION_SIGNING;
}

void handshake_give_up(struct connection *connection)
{
    uint8_t type;
    bool alert = connection->ssl == NULL &&
                 recv(connection->client.descriptor, &type, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
                 type == SSL3_RT_ALERT;
    connection_fail(connection, alert ? HANDSHAKE_FAILED : HANDSHAKE_ABORTED);
}

void handshake_step(struct connection *connection)
{
    struct thread *thread = connection->thread;
    if (connection->state == CONNECTION_SIGNING || connection->state == CONNECTION_DERIVING ||
        list_linked(&connection->starved))
        return; /* a byte of the client's queued it; what is awaited still is */
    connection->fed = false;
    if (connection->ssl == NULL && !open_ssl(connection)) {
        connection_fail(connection, HANDSHAKE_FAILED);
        return;
    }
    bool signing = connection->waiter.operation != NULL;
    uint64_t asked_at = connection->waiter.asked_at;
    ERR_clear_error();
    PROBE(immure_proxy, step_begin, connection);
    bool more;
    int error = do_handshake(connection, &more);
    PROBE(immure_proxy, step_end, connection, error);

    if (error != SSL_ERROR_WANT_ASYNC && (signing || connection->waiter.asked_at != asked_at)) {
        record_signature(connection);
        /* In TLS 1.3 the signature comes last, and what follows needs no fiber. */
        if (SSL_version(connection->ssl) == TLS1_3_VERSION || !derives_together(connection))
            SSL_clear_mode(connection->ssl, SSL_MODE_ASYNC);
    }
    if (error != SSL_ERROR_WANT_ASYNC && error != SSL_ERROR_WANT_ASYNC_JOB)
        handshake_feed_starved(thread);

    switch (error) {
    case SSL_ERROR_NONE:
        established(connection);
        break;
    case SSL_ERROR_WANT_READ:
        if (connection->input.records_total > HANDSHAKE_RECORDS_MAX) {
            log_debug("handshake: more than %d records", HANDSHAKE_RECORDS_MAX);
            connection_fail(connection, HANDSHAKE_FAILED);
        } else if (more) {
            step_queue(&thread->turn, STEP_BEGIN, &connection->step);
        }
        break;
    case SSL_ERROR_WANT_WRITE:
        watch_want(&thread->loop, &connection->client, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
        break;
    case SSL_ERROR_WANT_ASYNC:
        wait_paused(connection);
        break;
    case SSL_ERROR_WANT_ASYNC_JOB: /* all fibers are in use */
        list_append(&thread->starved, &connection->starved);
        break;
    default:
        failed(connection, error);
    }
}
