#include "proxy/worker/transport/client_bio.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/worker/core/connection.h"
#include "proxy/worker/core/thread.h"

static bool must_try_again(ssize_t moved)
{
    return moved < 0 && (errno == EAGAIN || errno == EINTR);
}

/* What libssl has asked for goes where it wants it; what has come beyond that is kept. */
static ssize_t receive(struct connection *connection, void *bytes, size_t size)
{
    struct client_input *input = &connection->input;
    uint8_t *room = buffer_reserve(&input->ahead, CLIENT_AHEAD);
    struct iovec parts[] = {{bytes, size}, {room, CLIENT_AHEAD}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = room != NULL ? 2 : 1};
    ssize_t length = recvmsg(connection->client.descriptor, &message, 0);
    size_t most = size + (room != NULL ? CLIENT_AHEAD : 0);
    input->ended = length == 0;
    /* That a FIN has come is told once: then it must be read, too. */
    input->dry = (length < 0 && errno == EAGAIN) ||
                 (length >= 0 && (size_t)length < most && !input->hung_up);
    if (length > (ssize_t)size) {
        buffer_commit(&input->ahead, (size_t)length - size);
        length = (ssize_t)size;
    }
    return length;
}

static ssize_t take_ahead(struct client_input *input, void *bytes, size_t size)
{
    size_t length = buffer_length(&input->ahead);
    length = length < size ? length : size;
    memcpy(bytes, buffer_bytes(&input->ahead), length);
    buffer_consume(&input->ahead, length);
    return (ssize_t)length;
}

static int client_read(BIO *bio, char *bytes, int size)
{
    struct connection *connection = BIO_get_data(bio);
    struct client_input *input = &connection->input;
    size_t most = (size_t)size < input->bytes_left ? (size_t)size : input->bytes_left;
    bool ahead = buffer_length(&input->ahead) > 0;
    BIO_clear_retry_flags(bio);
    if (most == 0 || input->records > CLIENT_RECORDS_A_STEP || (!ahead && input->dry)) {
        input->stopped = true;
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t length = ahead ? take_ahead(input, bytes, most) : receive(connection, bytes, most);
    if (length > 0)
        input->bytes_left -= (size_t)length;
    else
        input->stopped = true;
    if (length > 0 && !input->flight_sent &&
        !announced_take(&input->announced, bytes, (size_t)length)) {
        input->too_long = true;
        return -1;
    }
    if (must_try_again(length))
        BIO_set_retry_read(bio);
    else if (length == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)length;
}

static bool more_follows(const struct connection *connection)
{
    const SSL *ssl = connection->ssl;
    return connection->more_down || (SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) != 0 ||
           (SSL_get_state(ssl) == TLS_ST_SW_SESSION_TICKET && SSL_version(ssl) == TLS1_3_VERSION);
}

static int client_write(BIO *bio, const char *bytes, int length)
{
    const struct connection *connection = BIO_get_data(bio);
    int flags = MSG_NOSIGNAL | (more_follows(connection) ? MSG_MORE : 0);
    ssize_t sent = send(connection->client.descriptor, bytes, (size_t)length, flags);
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

/* SSL_CTX_set_msg_callback(3): what libssl has read and written. */
static void note_message(int written, int version, int type, const void *bytes, size_t length,
                         SSL *ssl, void *arg)
{
    (void)version;
    (void)ssl;
    struct client_input *input = arg;
    const uint8_t *message = bytes;
    if (!written && type == SSL3_RT_HEADER) {
        if (input->records_total == 0)
            input->proxy_header = proxy_header_version(bytes, length);
        input->records++;
        input->records_total++;
    } else if (written && type == SSL3_RT_HANDSHAKE && length > 0 &&
               (message[0] == SSL3_MT_FINISHED || message[0] == SSL3_MT_SERVER_DONE)) {
        input->flight_sent = true;
    }
}

bool client_bio_use(struct connection *connection, const BIO_METHOD *method)
{
    BIO *bio = BIO_new(method);
    if (bio == NULL)
        return false;
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    SSL_set_bio(connection->ssl, bio, bio);
    SSL_set_msg_callback(connection->ssl, note_message);
    SSL_set_msg_callback_arg(connection->ssl, &connection->input);
    return true;
}

/* The room is mostly free again at the end of the step: then the thread keeps it for the next. */
void client_bio_enter(struct connection *connection)
{
    struct client_input *input = &connection->input;
    struct buffer *spare = &connection->thread->spare_ahead;
    if (input->ahead.data == NULL && spare->data != NULL) {
        input->ahead = *spare;
        *spare = BUFFER_INIT(CLIENT_AHEAD);
    }
    input->bytes_left = CLIENT_BYTES_A_STEP;
    input->records = 0;
    input->stopped = false;
}

bool client_bio_leave(struct connection *connection)
{
    struct client_input *input = &connection->input;
    struct buffer *spare = &connection->thread->spare_ahead;
    if (buffer_length(&input->ahead) > 0)
        return true;
    if (spare->data == NULL) {
        *spare = input->ahead;
        input->ahead = BUFFER_INIT(CLIENT_AHEAD);
    } else {
        buffer_release(&input->ahead);
    }
    return !input->dry && !input->ended;
}

void client_bio_release(struct connection *connection)
{
    buffer_release(&connection->input.ahead);
}
