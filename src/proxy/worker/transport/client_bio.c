#include "proxy/worker/transport/client_bio.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "proxy/worker/transport/proxy_protocol.h"

static bool must_try_again(ssize_t moved)
{
    return moved < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Reads what libssl asked for into its buffer, and keeps what has arrived beyond that. */
static ssize_t receive(struct client_bio *client, void *bytes, size_t size)
{
    uint8_t *room = buffer_reserve(&client->ahead, CLIENT_AHEAD);
    struct iovec parts[] = {{bytes, size}, {room, CLIENT_AHEAD}};
    ssize_t length = client->transport->kind->read(client->transport, parts, room != NULL ? 2 : 1);
    size_t most = size + (room != NULL ? CLIENT_AHEAD : 0);
    client->ended = length == 0;
    /* An edge-triggered watch announces a FIN only once: reading goes on until it has been read. */
    client->dry = (length < 0 && errno == EAGAIN) ||
                  (length >= 0 && (size_t)length < most && !client->hung_up);
    if (length > (ssize_t)size) {
        buffer_commit(&client->ahead, (size_t)length - size);
        length = (ssize_t)size;
    }
    return length;
}

static ssize_t take_ahead(struct client_bio *client, void *bytes, size_t size)
{
    size_t length = buffer_length(&client->ahead);
    length = length < size ? length : size;
    memcpy(bytes, buffer_bytes(&client->ahead), length);
    buffer_consume(&client->ahead, length);
    return (ssize_t)length;
}

ssize_t client_bio_read(struct client_bio *client, void *bytes, size_t size)
{
    size_t most = size < client->bytes_left ? size : client->bytes_left;
    bool ahead = buffer_length(&client->ahead) > 0;
    if (most == 0 || client->records > CLIENT_RECORDS_A_STEP || (!ahead && client->dry)) {
        client->stopped = true;
        errno = EAGAIN;
        return -1;
    }
    ssize_t length = ahead ? take_ahead(client, bytes, most) : receive(client, bytes, most);
    if (length > 0)
        client->bytes_left -= (size_t)length;
    else
        client->stopped = true;
    return length;
}

/* False: the client has announced or sent too much for a handshake. */
static bool accept_bytes(struct client_bio *client, const void *bytes, size_t length)
{
    if (client->keeps_all && !buffer_append(&client->kept, bytes, length))
        return false;
    return client->flight_sent || announced_take(&client->announced, bytes, length);
}

static int client_read(BIO *bio, char *bytes, int size)
{
    struct client_bio *client = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t length = client_bio_read(client, bytes, (size_t)size);
    if (length > 0 && !accept_bytes(client, bytes, (size_t)length)) {
        client->too_long = true;
        return -1;
    }
    if (must_try_again(length))
        BIO_set_retry_read(bio);
    else if (length == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)length;
}

static bool more_follows(const struct client_bio *client)
{
    const SSL *ssl = client->ssl;
    return client->more_to_write || (SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) != 0 ||
           (SSL_get_state(ssl) == TLS_ST_SW_SESSION_TICKET && SSL_version(ssl) == TLS1_3_VERSION);
}

static int client_write(BIO *bio, const char *bytes, int length)
{
    const struct client_bio *client = BIO_get_data(bio);
    ssize_t sent = client->transport->kind->write(client->transport, bytes, (size_t)length,
                                                  more_follows(client));
    BIO_clear_retry_flags(bio);
    if (must_try_again(sent))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static long client_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

BIO_METHOD *client_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "client");
    if (method != NULL && BIO_meth_set_read(method, client_read) == 1 &&
        BIO_meth_set_write(method, client_write) == 1 &&
        BIO_meth_set_ctrl(method, client_control) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* RFC 8446, section 4.4.2, and RFC 5246, section 7.4.2. */
static bool has_too_many(const uint8_t *message, size_t length, bool tls13)
{
    struct reader reader = reader_of(message, length);
    size_t count = 0;
    read_u32(&reader); /* type and length */
    if (tls13)
        read_bytes(&reader, read_u8(&reader)); /* certificate_request_context */
    read_u24(&reader);
    for (; reader.left > 0 && count <= CLIENT_CERTIFICATES_MAX; count++) {
        read_bytes(&reader, read_u24(&reader));
        if (tls13)
            read_bytes(&reader, read_u16(&reader)); /* extensions */
        if (reader.failed)
            return false; /* libssl will refuse it */
    }
    return count > CLIENT_CERTIFICATES_MAX;
}

/* libssl shows a message before it parses it, but does not ask whether it may. This makes the
 * message one that no certificate is parsed of: the first byte is the length of the context, which
 * must be empty, or before TLS 1.3 a part of the length of the list. The buffer is libssl's own and
 * can be written. */
static void spoil(const uint8_t *message)
{
    ((uint8_t *)message)[SSL3_HM_HEADER_LENGTH] = 0xff;
}

/* libssl calls this for what it has read and written: SSL_CTX_set_msg_callback(3). */
static void note_message(int written, int version, int type, const void *bytes, size_t length,
                         SSL *ssl, void *arg)
{
    (void)ssl;
    struct client_bio *client = arg;
    const uint8_t *message = bytes;
    if (!written && type == SSL3_RT_HEADER) {
        if (client->records_total == 0)
            client->proxy_header = proxy_header_version(bytes, length);
        client->records++;
        client->records_total++;
    } else if (!written && type == SSL3_RT_HANDSHAKE && length > SSL3_HM_HEADER_LENGTH &&
               message[0] == SSL3_MT_CERTIFICATE &&
               has_too_many(message, length, version == TLS1_3_VERSION)) {
        client->too_many = true;
        spoil(message);
    } else if (written && type == SSL3_RT_HANDSHAKE && length > 0 &&
               (message[0] == SSL3_MT_FINISHED || message[0] == SSL3_MT_SERVER_DONE)) {
        client->flight_sent = true;
    }
}

void client_bio_init(struct client_bio *client, struct transport *transport, struct buffer *spare)
{
    *client = (struct client_bio){.transport = transport,
                                  .spare = spare,
                                  .ahead = BUFFER_INIT(CLIENT_AHEAD),
                                  .kept = BUFFER_INIT(CLIENT_KEPT_MAX)};
}

bool client_bio_use(struct client_bio *client, SSL *ssl, const BIO_METHOD *method)
{
    BIO *bio = BIO_new(method);
    if (bio == NULL)
        return false;
    client->ssl = ssl;
    BIO_set_data(bio, client);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_msg_callback(ssl, note_message);
    SSL_set_msg_callback_arg(ssl, client);
    return true;
}

/* The buffer is mostly empty again at the end of the step; then the next connection gets it. */
void client_bio_enter(struct client_bio *client)
{
    struct buffer *spare = client->spare;
    if (client->ahead.data == NULL && spare->data != NULL) {
        client->ahead = *spare;
        *spare = BUFFER_INIT(CLIENT_AHEAD);
    }
    client->bytes_left = CLIENT_BYTES_A_STEP;
    client->records = 0;
    client->stopped = false;
}

bool client_bio_leave(struct client_bio *client)
{
    struct buffer *spare = client->spare;
    if (buffer_length(&client->ahead) > 0)
        return true;
    if (spare->data == NULL) {
        *spare = client->ahead;
        client->ahead = BUFFER_INIT(CLIENT_AHEAD);
    } else {
        buffer_release(&client->ahead);
    }
    return !client->dry && !client->ended;
}

void client_bio_keep(struct client_bio *client)
{
    client->keeps_all = true;
}

void client_bio_forget(struct client_bio *client)
{
    client->keeps_all = false;
    buffer_release(&client->kept);
}

void client_bio_release(struct client_bio *client)
{
    buffer_release(&client->ahead);
    buffer_release(&client->kept);
}
