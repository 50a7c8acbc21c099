#include <errno.h>

#include "proxy/worker/relay/client_end.h"

static bool must_wait(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static enum moved broken(struct relay *relay)
{
    relay->end = END_CLIENT_FAILED;
    return MOVED_BROKEN;
}

static enum moved read_some(struct relay *relay, uint8_t *bytes, size_t *length)
{
    ssize_t count = client_bio_read(relay->client_bio, bytes, RECORD_SIZE);
    *length = count > 0 ? (size_t)count : 0;
    if (count < 0 && !must_wait())
        return broken(relay);
    relay->up.ended = count == 0;
    return MOVED_ALL;
}

static enum moved write_some(struct relay *relay, const uint8_t *bytes, size_t length, size_t *sent)
{
    struct transport *client = relay->client_bio->transport;
    *sent = 0;
    while (*sent < length) {
        ssize_t count = client->kind->write(client, bytes + *sent, length - *sent, false);
        if (count < 0)
            return must_wait() ? MOVED_BLOCKED : broken(relay);
        *sent += (size_t)count;
        metric_add(&relay->relays->metrics->bytes_out_total, (uint64_t)count);
    }
    return MOVED_ALL;
}

/* The FIN says it. */
static bool finish(struct relay *relay)
{
    (void)relay;
    return true;
}

const struct client_end client_end_plain = {
    .read = read_some, .write = write_some, .finish = finish};
