#include "proxy/worker/client_bio.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "proxy/worker/connection.h"

static bool must_try_again(ssize_t moved)
{
    return moved < 0 && (errno == EAGAIN || errno == EINTR);
}

static int client_read(BIO *bio, char *bytes, int size)
{
    const struct connection *connection = BIO_get_data(bio);
    ssize_t length = recv(connection->client.descriptor, bytes, (size_t)size, 0);
    BIO_clear_retry_flags(bio);
    if (must_try_again(length))
        BIO_set_retry_read(bio);
    else if (length == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)length;
}

static bool more_follows(const SSL *ssl)
{
    return (SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) != 0 ||
           (SSL_get_state(ssl) == TLS_ST_SW_SESSION_TICKET && SSL_version(ssl) == TLS1_3_VERSION);
}

static int client_write(BIO *bio, const char *bytes, int length)
{
    const struct connection *connection = BIO_get_data(bio);
    int flags = MSG_NOSIGNAL | (more_follows(connection->ssl) ? MSG_MORE : 0);
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

bool client_bio_use(struct connection *connection, const BIO_METHOD *method)
{
    BIO *bio = BIO_new(method);
    if (bio == NULL)
        return false;
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    SSL_set_bio(connection->ssl, bio, bio);
    return true;
}
