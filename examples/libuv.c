/*
 * A TLS server on libuv and OpenSSL whose private key is in immured. It reads a request and answers
 * with one line.
 *
 *     example-libuv REFERENCE CHAIN PORT
 */
#include <immure/openssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libuv_immured.h"

#define SIGNATURE_LIMIT UINT64_C(30000000000) /* ns, the longest wait for a signature */
#define ANSWER "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"

struct connection {
    uv_tcp_t tcp; /* first */
    SSL *ssl;     /* reads from and writes to memory BIOs */
    struct immure_waiter waiter;
    bool answered;
};

static uv_loop_t *loop;
static uv_tcp_t listener;
static uv_signal_t signals[2];
static SSL_CTX *context;
static struct immured immured;

static void connection_closed(uv_handle_t *handle)
{
    struct connection *connection = (struct connection *)handle;
    immure_openssl_free(connection->ssl, &connection->waiter); /* cancels the pending signature */
    free(connection);
}

static void connection_close(struct connection *connection)
{
    if (!uv_is_closing((uv_handle_t *)&connection->tcp))
        uv_close((uv_handle_t *)&connection->tcp, connection_closed);
}

static void shut_down(uv_shutdown_t *request, int status)
{
    (void)status;
    connection_close((struct connection *)request->handle);
    free(request);
}

static void connection_send(struct connection *connection)
{
    char *bytes;
    BIO *output = SSL_get_wbio(connection->ssl);
    long length = BIO_get_mem_data(output, &bytes);
    if (length > 0)
        write_to((uv_stream_t *)&connection->tcp, bytes, (size_t)length);
    (void)BIO_reset(output);
}

/* Lets libssl proceed until it waits for input or the signature, or is finished. */
static void connection_step(struct connection *connection)
{
    char request[4096];
    immure_waiter_enter(&connection->waiter);
    int result = SSL_is_init_finished(connection->ssl) ? 1 : SSL_do_handshake(connection->ssl);
    immure_waiter_leave();
    if (result == 1) {
        SSL_clear_mode(connection->ssl, SSL_MODE_ASYNC);
        result = SSL_read(connection->ssl, request, sizeof request);
    }
    int error = SSL_get_error(connection->ssl, result);
    if (error == SSL_ERROR_NONE && !connection->answered) {
        connection->answered = true;
        SSL_write(connection->ssl, ANSWER, sizeof ANSWER - 1);
        SSL_shutdown(connection->ssl);
    }
    connection_send(connection);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_ASYNC)
        return;
    ERR_clear_error();
    connection->answered = true;              /* or failed */
    uv_shutdown_t *end = malloc(sizeof *end); /* closes after all is written */
    if (end == NULL || uv_shutdown(end, (uv_stream_t *)&connection->tcp, shut_down) != 0) {
        free(end);
        connection_close(connection);
    }
}

static void woken(struct immure_waiter *waiter)
{
    struct connection *connection =
        (struct connection *)(void *)((char *)waiter - offsetof(struct connection, waiter));
    if (!uv_is_closing((uv_handle_t *)&connection->tcp))
        connection_step(connection);
}

static void connection_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = (struct connection *)stream;
    if (length < 0) {
        connection_close(connection);
    } else if (length > 0 && !connection->answered) {
        BIO_write(SSL_get_rbio(connection->ssl), buffer->base, (int)length);
        connection_step(connection);
    }
}

static void accepted(uv_stream_t *stream, int status)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL || (connection->ssl = SSL_new(context)) == NULL)
        fail("connection", "out of memory");
    SSL_set_bio(connection->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(connection->ssl);
    connection->waiter = (struct immure_waiter){
        .client = immured.client, .wake = woken, .deadline = uv_hrtime() + SIGNATURE_LIMIT};
    uv_tcp_init(loop, &connection->tcp);
    uv_stream_t *accepts = (uv_stream_t *)&connection->tcp;
    if (status != 0 || uv_accept(stream, accepts) != 0 ||
        uv_read_start(accepts, read_room, connection_read) != 0)
        connection_close(connection);
}

static void close_any(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (uv_is_closing(handle))
        return;
    if (handle->type == UV_TCP && handle != (uv_handle_t *)&listener)
        connection_close((struct connection *)handle);
    else
        uv_close(handle, NULL);
}

static void end(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    immured_end(&immured);
    uv_walk(loop, close_any, NULL);
}

static void listen_on(const char *port)
{
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", (int)strtol(port, NULL, 10), &address);
    uv_tcp_init(loop, &listener);
    uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
    int error = uv_listen((uv_stream_t *)&listener, SOMAXCONN, accepted);
    if (error != 0)
        fail(port, uv_strerror(error));
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage", "example-libuv REFERENCE CHAIN PORT");
    loop = uv_default_loop();
    immured_open(&immured, loop, argv[1]);
    listen_on(argv[3]);

    OSSL_LIB_CTX *library = immure_openssl_context();
    EVP_PKEY *key =
        immure_openssl_key(library, immured.reference.spki, immured.reference.spki_length);
    context = SSL_CTX_new_ex(library, IMMURE_OPENSSL_PROPERTIES, TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_ASYNC);
    if (SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1)
        fail(argv[2], ERR_reason_error_string(ERR_peek_last_error()));

    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        uv_signal_init(loop, &signals[i]);
        uv_signal_start(&signals[i], end, i == 0 ? SIGINT : SIGTERM);
    }
    puts("ready");
    fflush(stdout);

    uv_run(loop, UV_RUN_DEFAULT);
    immure_client_free(immured.client);
    SSL_CTX_free(context);
    EVP_PKEY_free(key);
    immure_openssl_context_free(library);
    uv_loop_close(loop);
    return 0;
}
