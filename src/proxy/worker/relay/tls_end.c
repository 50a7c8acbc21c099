#include <openssl/err.h>

#include "proxy/worker/relay/client_end.h"

static enum moved broken(struct relay *relay)
{
    ERR_clear_error();
    relay->end = END_CLIENT_FAILED;
    return MOVED_BROKEN;
}

/* Notes whether the client's direction ended with close_notify or with a FIN alone. */
static void note_end(struct relay *relay)
{
    relay->up.ended = true;
    relay->up.unclean = relay->client_bio->ended;
}

/* Reads one record at most. */
static enum moved read_record(struct relay *relay, uint8_t *bytes, size_t *length)
{
    struct client_bio *client = relay->client_bio;
    unsigned records = client->records;
    *length = 0;
    relay->read_wants_write = false;
    ERR_clear_error();
    int result = SSL_read_ex(relay->ssl, bytes, RECORD_SIZE, length);
    records = client->records - records;
    if (result == 1) {
        /* One of `records` is the record with data, unless the last step read its header. */
        relay->idle_records += records;
        relay->idle_records -= relay->idle_records > 1 ? 2 : relay->idle_records;
        return MOVED_ALL;
    }
    relay->idle_records += records;
    switch (SSL_get_error(relay->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return MOVED_ALL;
    case SSL_ERROR_WANT_WRITE:
        relay->read_wants_write = true;
        return MOVED_BLOCKED;
    case SSL_ERROR_ZERO_RETURN:
        note_end(relay);
        return MOVED_ALL;
    default:
        return broken(relay);
    }
}

static enum moved write_records(struct relay *relay, const uint8_t *bytes, size_t length,
                                size_t *sent)
{
    *sent = 0;
    relay->write_wants_read = false;
    while (*sent < length) {
        size_t count = 0;
        relay->client_bio->more_to_write = length - *sent > RECORD_SIZE;
        ERR_clear_error();
        int result = SSL_write_ex(relay->ssl, bytes + *sent, length - *sent, &count);
        if (result != 1) {
            int error = SSL_get_error(relay->ssl, result);
            relay->write_wants_read = error == SSL_ERROR_WANT_READ;
            if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
                return MOVED_BLOCKED;
            return broken(relay);
        }
        *sent += count;
        metric_add(&relay->relays->metrics->bytes_out_total, count);
    }
    return MOVED_ALL;
}

static bool close_notify(struct relay *relay)
{
    ERR_clear_error();
    int result = SSL_shutdown(relay->ssl);
    bool waits = result < 0 && SSL_get_error(relay->ssl, result) == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    return !waits;
}

const struct client_end client_end_tls = {
    .read = read_record, .write = write_records, .finish = close_notify};
