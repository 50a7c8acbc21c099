/* A connection knows of its client's transport only the interface: a whole TLS connection is served
 * through a transport that is made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy/worker/core/listener.h"
#include "proxy/worker/transport/stream_socket.h"

#define REQUEST_SIZE 4096

/* ---- a transport that hands out a few bytes at a time, and rests after that ---- */

#define DRIP_BYTES 128
#define DRIP_PAUSE (5 * NS_PER_MS)

struct drip {
    struct transport transport;
    struct stream_socket socket; /* holds what is not handed out yet */
    struct timer rest;
    bool wants_read, wants_write;
};

static unsigned rests; /* of all drips */

static struct drip *drip_of(struct transport *transport)
{
    return list_entry(transport, struct drip, transport);
}

static void drip_watch(struct drip *drip)
{
    transport_tcp.want(&drip->socket.transport, drip->wants_read && !timer_is_running(&drip->rest),
                       drip->wants_write);
}

static void drip_ready(struct transport *socket, unsigned events)
{
    struct drip *drip = list_entry(socket, struct drip, socket.transport);
    drip->transport.ready(&drip->transport, events);
}

static void drip_rested(struct timer *timer)
{
    struct drip *drip = list_entry(timer, struct drip, rest);
    drip_watch(drip);
    if (drip->wants_read)
        drip->transport.ready(&drip->transport, TRANSPORT_READABLE);
}

static void drip_open(struct transport *transport, int descriptor)
{
    struct drip *drip = drip_of(transport);
    drip->socket.transport =
        (struct transport){.kind = &transport_tcp, .loop = transport->loop, .ready = drip_ready};
    transport_tcp.open(&drip->socket.transport, descriptor);
    timer_init(&drip->rest, drip_rested);
}

static void drip_close(struct transport *transport)
{
    struct drip *drip = drip_of(transport);
    timer_stop(transport->loop, &drip->rest);
    transport_tcp.close(&drip->socket.transport);
}

static void drip_reset_at_close(struct transport *transport)
{
    transport_tcp.reset_at_close(&drip_of(transport)->socket.transport);
}

static void drip_want(struct transport *transport, bool read, bool write)
{
    struct drip *drip = drip_of(transport);
    drip->wants_read = read;
    drip->wants_write = write;
    drip_watch(drip);
}

static void drip_repeat(struct transport *transport)
{
    struct drip *drip = drip_of(transport);
    transport_tcp.repeat(&drip->socket.transport);
    drip_want(transport, false, false);
}

static void drip_look_between(struct transport *transport)
{
    transport_tcp.look_between(&drip_of(transport)->socket.transport);
}

static ssize_t drip_read(struct transport *transport, struct iovec *parts, size_t part_count)
{
    struct drip *drip = drip_of(transport);
    struct iovec few = {parts[0].iov_base,
                        parts[0].iov_len < DRIP_BYTES ? parts[0].iov_len : DRIP_BYTES};
    (void)part_count;
    errno = EAGAIN;
    if (timer_is_running(&drip->rest))
        return -1;
    ssize_t length = transport_tcp.read(&drip->socket.transport, &few, 1);
    if (length > 0) {
        rests++;
        timer_start(transport->loop, &drip->rest, DRIP_PAUSE);
        drip_watch(drip);
    }
    return length;
}

static ssize_t drip_write(struct transport *transport, const void *bytes, size_t length, bool more)
{
    return transport_tcp.write(&drip_of(transport)->socket.transport, bytes, length, more);
}

static ssize_t drip_peek(struct transport *transport, void *bytes, size_t size)
{
    return transport_tcp.peek(&drip_of(transport)->socket.transport, bytes, size);
}

static void drip_end_writing(struct transport *transport)
{
    transport_tcp.end_writing(&drip_of(transport)->socket.transport);
}

static void drip_local_address(struct transport *transport, struct sockaddr_storage *address)
{
    transport_tcp.local_address(&drip_of(transport)->socket.transport, address);
}

static struct transport_kind drip_kind(void)
{
    return (struct transport_kind){.name = "drip",
                                   .size = sizeof(struct drip),
                                   .accept = transport_tcp.accept,
                                   .silent_for = transport_tcp.silent_for,
                                   .refuse = transport_tcp.refuse,
                                   .open = drip_open,
                                   .close = drip_close,
                                   .reset_at_close = drip_reset_at_close,
                                   .want = drip_want,
                                   .repeat = drip_repeat,
                                   .look_between = drip_look_between,
                                   .peek = drip_peek,
                                   .read = drip_read,
                                   .write = drip_write,
                                   .end_writing = drip_end_writing,
                                   .local_address = drip_local_address};
}

/* ---- a thread of the worker, with one listener and one backend ---- */

struct fixture {
    struct loop loop;
    struct turn turn;
    struct histogram turns, turns_cpu;
    struct connection_limit limit;
    struct places places;
    struct server_config only;
    struct backend_config backend;
    struct shared_servers *shared;
    struct proxy_config config;
    struct admission admission;
    struct pools pools;
    struct tls_frontend tls;
    struct store_choice choice;
    struct route route;
    BIO_METHOD *client_bio;
    struct thread_metrics *metrics;
    struct connections connections;
    struct listeners listeners;
    struct sockaddr_in frontend;
    int server; /* the listening socket of the backend */
    bool (*client)(const struct fixture *fixture, SSL *ssl);
};

static int listen_on_loopback(struct sockaddr_in *address, int flags)
{
    socklen_t length = sizeof *address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(descriptor, (struct sockaddr *)address, sizeof *address), 0);
    assert_int_equal(listen(descriptor, 1), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)address, &length), 0);
    return descriptor;
}

/* All clients get the same route. */
static int choose(SSL *ssl, int *alert, void *arg)
{
    struct hello *hello = SSL_get_app_data(ssl);
    (void)alert;
    hello->choice = arg;
    return SSL_CLIENT_HELLO_SUCCESS;
}

static SSL_CTX *make_server(struct store_choice *choice)
{
    SSL_CTX *server = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_client_hello_cb(server, choose, choice);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
    SSL_CTX_set_mode(server, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return server;
}

static void flush(void *owner)
{
    (void)owner;
}

static void emptied(struct places *places)
{
    loop_stop(&list_entry(places, struct fixture, places)->loop);
}

static void open_pool(struct fixture *fixture)
{
    struct server_addresses addresses = {.count = 0};
    struct sockaddr_in address;
    fixture->only = (struct server_config){.address = {.text = "the server"}, .weight = 1};
    fixture->backend = (struct backend_config){.name = "app",
                                               .servers = &fixture->only,
                                               .server_count = 1,
                                               .failure_pause = NS_PER_S,
                                               .failure_pause_max = NS_PER_S};
    fixture->config = (struct proxy_config){.workers = 1,
                                            .backends = &fixture->backend,
                                            .backend_count = 1,
                                            .servers = &fixture->only,
                                            .server_count = 1,
                                            .connect_timeout = 10 * NS_PER_S};
    fixture->server = listen_on_loopback(&address, 0);
    fixture->shared = shared_servers_new(&fixture->config);
    assert_non_null(fixture->shared);
    assert_true(pools_open(&fixture->pools, &fixture->config, &fixture->loop, fixture->metrics,
                           fixture->shared, 0));
    assert_true(searches_open(&fixture->pools));
    assert_true(
        server_addresses_add(&addresses, (const struct sockaddr *)&address, sizeof address));
    pools_set_addresses(&fixture->pools, 0, &addresses);
}

static void open_connections(struct fixture *fixture)
{
    fixture->client_bio = client_bio_method();
    fixture->admission = (struct admission){
        .config = &fixture->config, .loop = &fixture->loop, .metrics = fixture->metrics};
    assert_true(admission_open(&fixture->admission));
    fixture->connections = (struct connections){.turn = &fixture->turn,
                                                .metrics = fixture->metrics,
                                                .places = &fixture->places,
                                                .admission = &fixture->admission,
                                                .routes = &fixture->route,
                                                .handshake_timeout = 10 * NS_PER_S,
                                                .idle_timeout = 10 * NS_PER_S,
                                                .half_close_timeout = 10 * NS_PER_S};
    connections_init(&fixture->connections, fixture->client_bio);
    fixture->listeners = (struct listeners){
        .turn = &fixture->turn, .places = &fixture->places, .connections = &fixture->connections};
}

static int setup(void **state)
{
    struct fixture *fixture = *state = calloc(1, sizeof *fixture);
    fixture->metrics = calloc(1, sizeof *fixture->metrics);
    assert_true(loop_open(&fixture->loop));
    fixture->turn = (struct turn){.loop = &fixture->loop,
                                  .established_budget = NS_PER_MS,
                                  .handshake_budget = NS_PER_MS,
                                  .turns = &fixture->turns,
                                  .turns_cpu = &fixture->turns_cpu,
                                  .flush = flush};
    turn_init(&fixture->turn);
    fixture->limit.most = 2;
    places_init(&fixture->places, &fixture->limit, &fixture->loop, emptied);
    open_pool(fixture);
    fixture->tls = (struct tls_frontend){.entry = make_server(&fixture->choice)};
    fixture->route =
        (struct route){.frontend = &fixture->tls, .name = "test", .pool = &fixture->pools.of[0]};
    open_connections(fixture);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    listeners_stop(&fixture->listeners);
    listeners_free(&fixture->listeners);
    connections_release(&fixture->connections);
    admission_close(&fixture->admission);
    searches_close(&fixture->pools);
    pools_close(&fixture->pools);
    shared_servers_free(fixture->shared);
    loop_close(&fixture->loop);
    SSL_CTX_free(fixture->tls.entry);
    BIO_meth_free(fixture->client_bio);
    if (fixture->server >= 0)
        close(fixture->server);
    free(fixture->metrics);
    free(fixture);
    return 0;
}

/* ---- its client and its backend, in a thread of their own ---- */

static bool ask(SSL *ssl, const uint8_t *request)
{
    size_t written;
    return SSL_connect(ssl) == 1 && SSL_write_ex(ssl, request, REQUEST_SIZE, &written) == 1 &&
           written == REQUEST_SIZE;
}

/* The backend sends back what it has received. */
static bool answer(int server)
{
    uint8_t bytes[REQUEST_SIZE];
    int descriptor = accept(server, NULL, NULL);
    bool good = recv(descriptor, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes &&
                send(descriptor, bytes, sizeof bytes, 0) == sizeof bytes;
    close(descriptor);
    return good;
}

static bool hear(SSL *ssl, const uint8_t *request)
{
    uint8_t bytes[REQUEST_SIZE];
    size_t length;
    return SSL_read_ex(ssl, bytes, sizeof bytes, &length) == 1 && length == sizeof bytes &&
           memcmp(bytes, request, sizeof bytes) == 0 && SSL_shutdown(ssl) >= 0;
}

static bool exchange(const struct fixture *fixture, SSL *ssl)
{
    uint8_t request[REQUEST_SIZE];
    for (size_t i = 0; i < sizeof request; i++)
        request[i] = (uint8_t)(i * 7 + i / 256);
    return ask(ssl, request) && answer(fixture->server) && hear(ssl, request);
}

static bool hear_nothing(const struct fixture *fixture, SSL *ssl)
{
    char byte;
    (void)fixture;
    return SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) <= 0;
}

/* Returns the fixture if all went well. */
static void *client_thread(void *argument)
{
    struct fixture *fixture = argument;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good =
        SSL_set_fd(ssl, descriptor) == 1 &&
        connect(descriptor, (struct sockaddr *)&fixture->frontend, sizeof fixture->frontend) == 0 &&
        fixture->client(fixture, ssl);
    SSL_free(ssl);
    close(descriptor);
    SSL_CTX_free(context);
    return good ? fixture : NULL;
}

/* ---- tests ---- */

static void serve_by(struct fixture *fixture, const struct transport_kind *transport,
                     bool (*client)(const struct fixture *fixture, SSL *ssl))
{
    pthread_t peers;
    void *good;
    const struct listener_row row = {listen_on_loopback(&fixture->frontend, SOCK_NONBLOCK),
                                     &fixture->route, transport};
    fixture->client = client;
    assert_true(listeners_open(&fixture->listeners, &row, 1));
    assert_int_equal(pthread_create(&peers, NULL, client_thread, fixture), 0);
    turn_run(&fixture->turn); /* until the connection has ended */
    assert_int_equal(pthread_join(peers, &good), 0);
    assert_non_null(good);
}

static void test_served_by_tcp(void **state)
{
    struct fixture *fixture = *state;
    serve_by(fixture, &transport_tcp, exchange);
    assert_int_equal(metric_read(&fixture->metrics->ends[END_CLEAN]), 1);
    const struct shared_server *server = &fixture->shared->servers[0];
    assert_int_equal(server->total, 1);
    assert_int_equal(server->taken, 0);
    assert_int_equal(server->failed, 0);
}

/* Nobody but the connection counts the failure. */
static void test_server_that_refuses(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->server);
    fixture->server = -1;
    serve_by(fixture, &transport_tcp, hear_nothing);
    const struct shared_server *server = &fixture->shared->servers[0];
    assert_int_equal(metric_read(&fixture->metrics->ends[END_BACKEND_FAILED]), 1);
    assert_int_equal(metric_read(&fixture->metrics->backend_errors_total), 1);
    assert_int_equal(server->failed, 1);
    assert_int_equal(server->total, 1);
    assert_int_equal(server->taken, 0);
}

/* While the transport rests, its socket is readable. */
static void test_slow_transport_does_not_make_the_loop_spin(void **state)
{
    struct fixture *fixture = *state;
    const struct transport_kind drip = drip_kind();
    rests = 0;
    serve_by(fixture, &drip, exchange);
    assert_int_equal(metric_read(&fixture->metrics->ends[END_CLEAN]), 1);
    assert_true(rests >= REQUEST_SIZE / DRIP_BYTES);
    assert_true(histogram_count(&fixture->turns) <= 20 * rests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_served_by_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_that_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_transport_does_not_make_the_loop_spin, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
