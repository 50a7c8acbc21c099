#include "proxy/worker/relay/relay.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "proxy/worker/relay/client_end.h"

/*
 * By how many a client's records without data (key updates, attempts to renegotiate, warnings,
 * empty records) may exceed those with data. They only make work for libssl: an honest client needs
 * one key update in gigabytes.
 */
#define IDLE_RECORDS_MAX 32

static enum moved broken(struct relay *relay, enum connection_end end)
{
    relay->end = end;
    return MOVED_BROKEN;
}

/* ---- client to server ---- */

bool relay_untouched(const struct relay *relay)
{
    return !relay->up.begun && !relay->up.passed_on && !relay->down.begun;
}

/* Whether there are bytes of the server to read. */
static bool server_has_sent(const struct relay *relay)
{
    char byte;
    return recv(relay->server->watch.descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static enum moved send_up(struct relay *relay, const uint8_t *bytes, size_t length, size_t *sent)
{
    *sent = 0;
    while (*sent < length) {
        ssize_t count = send(relay->server->watch.descriptor, bytes + *sent, length - *sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            return MOVED_BLOCKED;
        if (count < 0 && relay_untouched(relay) && !server_has_sent(relay))
            return broken(relay, END_BACKEND_FAILED); /* the bytes may go to another server */
        if (count < 0) {
            /* The server reads no more, but the client still gets what the server has sent. */
            relay->up.refused = true;
            relay->down.failed = errno != EPIPE;
            *sent = length;
            return MOVED_ALL;
        }
        *sent += (size_t)count;
        relay->up.begun = true;
        metric_add(&relay->relays->metrics->bytes_in_total, (uint64_t)count);
    }
    return MOVED_ALL;
}

static enum moved flush_up(struct relay *relay)
{
    struct buffer *pending = &relay->up.pending;
    size_t sent;
    enum moved moved = send_up(relay, buffer_bytes(pending), buffer_length(pending), &sent);
    buffer_consume(pending, sent);
    if (moved == MOVED_ALL)
        buffer_release(pending);
    return moved;
}

/* Fills the scratch buffer with records of any size, as far as one step may read. */
static enum moved gather(struct relay *relay, size_t *gathered)
{
    struct client_bio *client = relay->client_bio;
    uint8_t *bytes = relay->relays->scratch;
    enum moved moved = MOVED_ALL;
    *gathered = 0;
    while (moved == MOVED_ALL && !client->stopped && !relay->up.ended &&
           *gathered + RECORD_SIZE <= RELAY_SCRATCH) {
        size_t length;
        moved = relay->client->read(relay, bytes + *gathered, &length);
        *gathered += length;
    }
    if (moved == MOVED_ALL && relay->idle_records > IDLE_RECORDS_MAX)
        return broken(relay, END_NO_DATA);
    return moved;
}

static enum moved move_up(struct relay *relay)
{
    struct flow *up = &relay->up;
    const uint8_t *bytes = relay->relays->scratch;
    size_t gathered, sent = 0;
    enum moved moved = buffer_length(&up->pending) > 0 ? flush_up(relay) : MOVED_ALL;
    if (moved != MOVED_ALL)
        return moved;
    if (up->ended || (!relay->client_event && !relay->more_up))
        return MOVED_ALL;
    client_bio_enter(relay->client_bio);
    moved = gather(relay, &gathered);
    relay->more_up = client_bio_leave(relay->client_bio) && !up->ended;
    if (moved == MOVED_BROKEN)
        return MOVED_BROKEN;
    if (gathered == 0 || up->refused)
        return MOVED_ALL;
    moved = send_up(relay, bytes, gathered, &sent);
    return moved == MOVED_ALL || buffer_append(&up->pending, bytes + sent, gathered - sent)
               ? moved
               : broken(relay, END_NO_MEMORY);
}

static void pass_on_end_up(struct relay *relay)
{
    struct flow *up = &relay->up;
    if (up->ended && !up->passed_on && buffer_length(&up->pending) == 0) {
        if (!relay->down.passed_on) /* otherwise close() follows and sends the FIN */
            shutdown(relay->server->watch.descriptor, SHUT_WR);
        up->passed_on = true;
    }
}

/* ---- server to client ---- */

static enum moved flush_down(struct relay *relay)
{
    struct buffer *pending = &relay->down.pending;
    size_t sent;
    enum moved moved =
        relay->client->write(relay, buffer_bytes(pending), buffer_length(pending), &sent);
    buffer_consume(pending, sent);
    if (moved == MOVED_ALL)
        buffer_release(pending);
    return moved;
}

static enum moved read_server(struct relay *relay, size_t *length)
{
    struct flow *down = &relay->down;
    ssize_t got =
        recv(relay->server->watch.descriptor, relay->relays->scratch, RELAY_SCRATCH, MSG_DONTWAIT);
    *length = got > 0 ? (size_t)got : 0;
    down->begun |= got > 0;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? MOVED_ALL : broken(relay, END_BACKEND_FAILED);
    if (got == 0 && down->failed)
        return broken(relay, END_BACKEND_FAILED);
    down->ended = got == 0;
    return MOVED_ALL;
}

static enum moved move_down(struct relay *relay)
{
    struct flow *down = &relay->down;
    const uint8_t *bytes = relay->relays->scratch;
    size_t length, sent;
    if (buffer_length(&down->pending) > 0) {
        enum moved moved = flush_down(relay);
        if (moved != MOVED_ALL)
            return moved;
    }
    if (!relay->server_event || down->ended)
        return MOVED_ALL;
    if (read_server(relay, &length) == MOVED_BROKEN)
        return MOVED_BROKEN;
    enum moved moved = relay->client->write(relay, bytes, length, &sent);
    if (moved == MOVED_BLOCKED && !buffer_append(&down->pending, bytes + sent, length - sent))
        return broken(relay, END_NO_MEMORY);
    return moved;
}

static void pass_on_end_down(struct relay *relay)
{
    struct flow *down = &relay->down;
    if (!down->ended || down->passed_on || buffer_length(&down->pending) > 0)
        return;
    if (!relay->client->finish(relay))
        return;
    if (!relay->up.passed_on) /* otherwise close() follows and sends the FIN */
        relay->client_bio->transport->kind->end_writing(relay->client_bio->transport);
    down->passed_on = true;
}

/* ---- both ---- */

static void want_events(struct relay *relay)
{
    struct transport *client = relay->client_bio->transport;
    const struct flow *up = &relay->up, *down = &relay->down;
    bool up_waits = buffer_length(&up->pending) > 0;
    bool down_waits = buffer_length(&down->pending) > 0 || (down->ended && !down->passed_on);
    bool read_client_ = (!up->ended && !up_waits) || relay->write_wants_read;
    bool write_client_ = (down_waits && !relay->write_wants_read) || relay->read_wants_write;
    bool read_server_ = !down->ended && !down_waits;
    client->kind->want(client, read_client_, write_client_);
    watch_want(relay->relays->loop, &relay->server->watch,
               (read_server_ ? EPOLLIN : 0) | (up_waits ? EPOLLOUT : 0));
}

enum relay_progress relay_serve(struct relay *relay)
{
    enum moved up = move_up(relay), down = MOVED_ALL;
    if (up != MOVED_BROKEN)
        down = move_down(relay);
    relay->client_event = relay->server_event = false;
    if (up == MOVED_BROKEN || down == MOVED_BROKEN)
        return RELAY_OVER;
    pass_on_end_up(relay);
    pass_on_end_down(relay);
    if (relay->up.passed_on && relay->down.passed_on) {
        relay->end = relay->up.unclean ? END_CLIENT_UNCLEAN : END_CLEAN;
        return RELAY_OVER;
    }
    want_events(relay);
    return relay->more_up && up == MOVED_ALL && !relay->read_wants_write ? RELAY_MORE : RELAY_WAITS;
}

bool relay_half_closed(const struct relay *relay)
{
    return relay->up.ended || relay->down.ended;
}

/* ---- life ---- */

void relay_init(struct relay *relay, struct relays *relays)
{
    *relay = (struct relay){.relays = relays};
    relay->up.pending = relay->down.pending = BUFFER_INIT(RELAY_PENDING_MAX);
}

void relay_begin(struct relay *relay, SSL *ssl, struct client_bio *client_bio,
                 struct server_connection *server)
{
    relay->ssl = ssl;
    relay->client = ssl != NULL ? &client_end_tls : &client_end_plain;
    relay->client_bio = client_bio;
    relay->server = server;
    relay->more_up = buffer_length(&client_bio->ahead) > 0;
    if (ssl != NULL)
        SSL_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF); /* the end looks for a lone FIN */
    client_bio->transport->kind->repeat(client_bio->transport);
}

void relay_note_client(struct relay *relay, unsigned events)
{
    relay->client_event |= (events & ~(unsigned)TRANSPORT_WRITABLE) != 0 || relay->read_wants_write;
}

void relay_note_server(struct relay *relay, uint32_t events)
{
    relay->server_event |= (events & ~(uint32_t)EPOLLOUT) != 0;
}

void relay_end(struct relay *relay, enum connection_end end)
{
    bool complete = end == END_IDLE && buffer_length(&relay->up.pending) == 0 &&
                    buffer_length(&relay->down.pending) == 0;
    if (complete && !relay->down.passed_on)
        relay->client->finish(relay);
    else if (!complete && !relay->up.passed_on)
        connect_reset_at_close(relay->server);
}

void relay_release(struct relay *relay)
{
    buffer_release(&relay->up.pending);
    buffer_release(&relay->down.pending);
}
