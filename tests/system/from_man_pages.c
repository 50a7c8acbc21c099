/*
 * Written from the man pages of section 3 alone, and compiled as C and as C++: a server that starts
 * an immured of its own, serves one TLS connection, and says what the key, the error and the
 * SignatureScheme are called.
 *
 *     from_man_pages IMMURED KEY CHAIN
 */
#include <immure/client.h>
#include <immure/error.h>
#include <immure/openssl.h>
#include <immure/scheme.h>
#include <immure/spawn.h>

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct immure_client *client;
static int immured;
static uint8_t spki[4096];
static size_t spki_length;
static int listed, woken;

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void one_key(void *arg, const struct immure_reply *reply)
{
    const struct immure_key *key = reply->key;
    (void)arg;
    if (key == NULL) {
        listed = 1;
        if (reply->error != IMMURE_OK)
            fail(reply->error_text);
        return;
    }
    printf("key %s\n", key->name);
    spki_length = key->spki_length;
    if (spki_length > sizeof spki)
        fail("a key that is too long");
    memcpy(spki, key->spki, spki_length);
}

static void wake(struct immure_waiter *waiter)
{
    (void)waiter;
    woken = 1;
}

/* One turn: what is due goes out, what has come is taken; another descriptor may be waited for. */
static void turn(int other)
{
    static char room[65536];
    const void *data;
    size_t length;
    struct pollfd polled[2];
    while ((length = immure_client_output(client, &data, now())) > 0) {
        ssize_t sent = send(immured, data, length, MSG_NOSIGNAL);
        if (sent < 0)
            fail("send");
        immure_client_sent(client, (size_t)sent);
    }
    polled[0].fd = immured;
    polled[1].fd = other;
    polled[0].events = polled[1].events = POLLIN;
    if (poll(polled, 2, 10000) <= 0)
        fail("poll");
    if (polled[0].revents != 0) {
        ssize_t got = recv(immured, room, sizeof room, 0);
        if (got <= 0 || immure_client_receive(client, room, (size_t)got) != IMMURE_OK)
            fail("immured is gone");
    }
    immure_client_expire(client, now());
}

static int listen_somewhere(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 5) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("listen");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void serve(SSL_CTX *context, int descriptor)
{
    struct immure_waiter waiter;
    SSL *ssl = SSL_new(context);
    int result;
    memset(&waiter, 0, sizeof waiter);
    waiter.client = client;
    waiter.wake = wake;
    waiter.deadline = now() + 10000000000u;
    SSL_set_fd(ssl, descriptor);
    SSL_set_accept_state(ssl);
    for (;;) {
        int error;
        immure_waiter_enter(&waiter);
        result = SSL_do_handshake(ssl);
        immure_waiter_leave();
        error = SSL_get_error(ssl, result);
        if (result == 1)
            break;
        if (error != SSL_ERROR_WANT_ASYNC)
            fail("handshake");
        while (!woken)
            turn(-1);
    }
    if (waiter.error != IMMURE_OK)
        fail(immure_error_text(waiter.error));
    printf("signed %s\n", immure_scheme_name(waiter.scheme));
    SSL_clear_mode(ssl, SSL_MODE_ASYNC);
    SSL_write(ssl, "hello", 5);
    SSL_shutdown(ssl);
    immure_openssl_free(ssl, &waiter);
}

int main(int argc, char **argv)
{
    char config[4096];
    struct immure_spawn_options options;
    struct immure_request list;
    pid_t pid;
    OSSL_LIB_CTX *library;
    EVP_PKEY *key;
    SSL_CTX *context;
    int listener, descriptor;
    if (argc != 4)
        fail("usage: from_man_pages IMMURED KEY CHAIN");
    snprintf(config, sizeof config, "threads = 1\nkey \"the key\" { file = \"%s\" }\n", argv[2]);
    memset(&options, 0, sizeof options);
    options.program = argv[1];
    options.config = config;
    options.listener = -1;
    options.socket_pair = true;
    if (immure_spawn(&options, &pid, &immured) != IMMURE_OK)
        fail(strerror(errno));
    memset(&list, 0, sizeof list);
    list.operation = IMMURE_LIST;
    list.callback = one_key;
    client = immure_client_new(NULL);
    if (client == NULL || immure_request_submit(client, &list, NULL) != IMMURE_OK)
        fail("client");
    while (!listed)
        turn(-1);

    library = immure_openssl_context();
    key = immure_openssl_key(library, spki, spki_length);
    context = SSL_CTX_new_ex(library, IMMURE_OPENSSL_PROPERTIES, TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_ASYNC);
    if (SSL_CTX_use_certificate_chain_file(context, argv[3]) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1)
        fail("the certificate");
    listener = listen_somewhere();
    descriptor = accept(listener, NULL, NULL);
    serve(context, descriptor);
    close(descriptor);
    close(listener);

    SSL_CTX_free(context);
    EVP_PKEY_free(key);
    immure_openssl_context_free(library);
    immure_client_free(client);
    close(immured);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return 0;
}
