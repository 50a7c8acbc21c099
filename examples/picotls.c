/*
 * A TLS 1.3 server on epoll and picotls whose private key is in immured. It reads a request and
 * answers with one line.
 *
 *     example-picotls REFERENCE CHAIN PORT
 */
#include <errno.h>
#include <immure/picotls.h>
#include <picotls/openssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loop.h"

#define SIGNATURE_LIMIT UINT64_C(30000000000) /* ns, the longest wait for a signature */
#define ANSWER "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"

struct connection {
    struct watch watch; /* first */
    ptls_t *tls;
    ptls_buffer_t output; /* encrypted data not sent yet */
    bool signing, answered;
    struct connection *next, **link; /* in the list of all connections */
};

static struct loop loop;
static struct connection *connections;
static struct immure_picotls_signer signer;
static ptls_context_t context = {.random_bytes = ptls_openssl_random_bytes,
                                 .get_time = &ptls_get_time,
                                 .key_exchanges = ptls_openssl_key_exchanges,
                                 .cipher_suites = ptls_openssl_cipher_suites};

/* A server with several threads would return the client of the connection's thread. */
static struct immure_client *client_of(struct immure_picotls_signer *self, ptls_t *tls,
                                       uint64_t *deadline)
{
    (void)self;
    (void)tls;
    *deadline = loop.now + SIGNATURE_LIMIT;
    return loop.client;
}

static void connection_close(struct connection *connection)
{
    watch_close(&loop, &connection->watch);
}

/* Called at the end of the turn in which the connection was closed. */
static void connection_free(struct watch *watch)
{
    struct connection *connection = (struct connection *)watch;
    ptls_free(connection->tls); /* cancels the pending signature */
    ptls_buffer_dispose(&connection->output);
    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    free(connection);
}

static void connection_send(struct connection *connection)
{
    ptls_buffer_t *output = &connection->output;
    ssize_t sent = send(connection->watch.descriptor, output->base, output->off, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        connection_close(connection);
        return;
    }
    if (sent > 0) {
        output->off -= (size_t)sent;
        memmove(output->base, output->base + sent, output->off);
    }
    if (output->off == 0 && connection->answered)
        connection_close(connection);
    else if (output->off > 0)
        watch_want(&loop, &connection->watch, EPOLLOUT | EPOLLRDHUP);
    else
        watch_want(&loop, &connection->watch, connection->signing ? EPOLLRDHUP : EPOLLIN);
}

static void woken(void *arg);

/* Consumes input, at most *length bytes. False: the connection has ended. */
static bool handshake(struct connection *connection, const void *input, size_t *length)
{
    int result = ptls_handshake(connection->tls, &connection->output, input, length, NULL);
    connection->signing = result == PTLS_ERROR_ASYNC_OPERATION;
    if (connection->signing) {
        ptls_async_job_t *job = ptls_get_async_job(connection->tls);
        job->set_completion_callback(job, woken, connection);
        return true;
    }
    if (result == 0 || result == PTLS_ERROR_IN_PROGRESS)
        return true;
    connection->answered = true; /* with an alert */
    return false;
}

static void answer(struct connection *connection)
{
    if (ptls_send(connection->tls, &connection->output, ANSWER, sizeof ANSWER - 1) != 0)
        fail("connection", "out of memory");
    ptls_send_alert(connection->tls, &connection->output, PTLS_ALERT_LEVEL_WARNING,
                    PTLS_ALERT_CLOSE_NOTIFY);
    connection->answered = true;
}

static bool read_request(struct connection *connection, const void *input, size_t *length)
{
    ptls_buffer_t request;
    ptls_buffer_init(&request, (void *)"", 0);
    int result = ptls_receive(connection->tls, &request, input, length);
    if (result == 0 && request.off > 0)
        answer(connection);
    ptls_buffer_dispose(&request);
    return result == 0;
}

static void take_input(struct connection *connection, const uint8_t *input, size_t length)
{
    while (length > 0 && !connection->answered) {
        size_t taken = length;
        bool good = ptls_handshake_is_complete(connection->tls)
                        ? read_request(connection, input, &taken)
                        : handshake(connection, input, &taken);
        if (!good)
            connection->answered = true;
        input += taken;
        length -= taken;
    }
}

/* The signature is there, or has failed, which the handshake will report. */
static void woken(void *arg)
{
    struct connection *connection = arg;
    size_t none = 0;
    if (connection->watch.descriptor < 0)
        return;
    handshake(connection, NULL, &none);
    connection_send(connection);
}

static void connection_ready(struct watch *watch, uint32_t events)
{
    struct connection *connection = (struct connection *)watch;
    static uint8_t input[16384];
    if (events & EPOLLIN) {
        ssize_t length = recv(watch->descriptor, input, sizeof input, MSG_DONTWAIT);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0) {
            connection_close(connection);
            return;
        }
        take_input(connection, input, (size_t)length);
    } else if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        connection_close(connection);
        return;
    }
    connection_send(connection);
}

static void accepted(struct loop *in, int descriptor)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL || (connection->tls = ptls_new(&context, 1)) == NULL)
        fail("connection", "out of memory");
    ptls_buffer_init(&connection->output, (void *)"", 0);
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
        fail("usage", "example-picotls REFERENCE CHAIN PORT");
    loop.accepted = accepted;
    loop.closed = connection_free;
    loop_open(&loop, argv[1], argv[3]);

    const struct immure_reference *key = &loop.reference;
    if (!immure_picotls_signer_init(&signer, key->key_id, key->spki, key->spki_length))
        fail(argv[1], "a key of a type that TLS 1.3 has no signatures for");
    signer.client = client_of;
    context.sign_certificate = &signer.super;
    if (ptls_load_certificates(&context, argv[2]) != 0)
        fail(argv[2], "no certificates");
    puts("ready");
    fflush(stdout);

    loop_run(&loop);
    for (struct connection *each = connections; each != NULL; each = each->next)
        connection_close(each);
    loop_close(&loop);
    for (size_t i = 0; i < context.certificates.count; i++)
        free(context.certificates.list[i].base);
    free(context.certificates.list);
    return 0;
}
