/*
 * A TLS server on epoll and OpenSSL whose private key is in immured. It reads a request and answers
 * with one line.
 *
 *     example-openssl REFERENCE CHAIN PORT
 */
#include <immure/openssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

#define SIGNATURE_LIMIT UINT64_C(30000000000) /* ns, the longest wait for a signature */
#define ANSWER "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"

struct connection {
    struct watch watch; /* first */
    SSL *ssl;
    struct immure_waiter waiter;
    struct connection *next, **link; /* in the list of all connections */
};

static struct loop loop;
static struct connection *connections;
static SSL_CTX *context;

static void connection_close(struct connection *connection)
{
    watch_close(&loop, &connection->watch);
}

/* Called at the end of the turn in which the connection was closed. */
static void connection_free(struct watch *watch)
{
    struct connection *connection = (struct connection *)watch;
    immure_openssl_free(connection->ssl, &connection->waiter); /* cancels the pending signature */
    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    free(connection);
}

/* Handles the result of one libssl call. True if it is complete. */
static bool done(struct connection *connection, int result)
{
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_NONE:
        return true;
    case SSL_ERROR_WANT_READ:
        watch_want(&loop, &connection->watch, EPOLLIN);
        return false;
    case SSL_ERROR_WANT_WRITE:
        watch_want(&loop, &connection->watch, EPOLLOUT);
        return false;
    case SSL_ERROR_WANT_ASYNC: /* woken() will be called; until then, only report that the peer
                                  closes */
        watch_want(&loop, &connection->watch, EPOLLRDHUP);
        return false;
    default:
        ERR_clear_error();
        connection_close(connection);
        return false;
    }
}

static bool handshake(struct connection *connection)
{
    if (SSL_is_init_finished(connection->ssl))
        return true;
    immure_waiter_enter(&connection->waiter);
    int result = SSL_do_handshake(connection->ssl);
    immure_waiter_leave();
    if (!done(connection, result))
        return false;
    SSL_clear_mode(connection->ssl, SSL_MODE_ASYNC);
    return true;
}

static void connection_step(struct connection *connection)
{
    char request[4096];
    if (!handshake(connection) ||
        !done(connection, SSL_read(connection->ssl, request, sizeof request)))
        return;
    if (done(connection, SSL_write(connection->ssl, ANSWER, sizeof ANSWER - 1))) {
        SSL_shutdown(connection->ssl);
        connection_close(connection);
    }
}

static void connection_ready(struct watch *watch, uint32_t events)
{
    struct connection *connection = (struct connection *)watch;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection_close(connection);
    else
        connection_step(connection);
}

/* The signature is there, or has failed, which the handshake will report. */
static void woken(struct immure_waiter *waiter)
{
    struct connection *connection =
        (struct connection *)(void *)((char *)waiter - offsetof(struct connection, waiter));
    if (connection->watch.descriptor >= 0)
        connection_step(connection);
}

static void accepted(struct loop *in, int descriptor)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL || (connection->ssl = SSL_new(context)) == NULL)
        fail("connection", "out of memory");
    SSL_set_fd(connection->ssl, descriptor);
    SSL_set_accept_state(connection->ssl);
    connection->waiter = (struct immure_waiter){
        .client = in->client, .wake = woken, .deadline = in->now + SIGNATURE_LIMIT};
    connection->watch.ready = connection_ready;
    connection->next = connections;
    connection->link = &connections;
    if (connections != NULL)
        connections->link = &connection->next;
    connections = connection;
    watch_open(in, &connection->watch, descriptor);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage", "example-openssl REFERENCE CHAIN PORT");
    loop.accepted = accepted;
    loop.closed = connection_free;
    loop_open(&loop, argv[1], argv[3]);

    OSSL_LIB_CTX *library = immure_openssl_context();
    EVP_PKEY *key = immure_openssl_key(library, loop.reference.spki, loop.reference.spki_length);
    context = SSL_CTX_new_ex(library, IMMURE_OPENSSL_PROPERTIES, TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_ASYNC);
    if (SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1)
        fail(argv[2], ERR_reason_error_string(ERR_peek_last_error()));
    puts("ready");
    fflush(stdout);

    loop_run(&loop);
    for (struct connection *each = connections; each != NULL; each = each->next)
        connection_close(each);
    loop_close(&loop);
    SSL_CTX_free(context);
    EVP_PKEY_free(key);
    immure_openssl_context_free(library);
    return 0;
}
