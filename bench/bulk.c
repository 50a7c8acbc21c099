/*
 * Bulk data through a TLS proxy. As the backend (no arguments) it prints its port on 127.0.0.1. If
 * the first byte of a connection is "d", it sends data without end; otherwise it discards what it
 * receives. As the client,
 *
 *     bench-bulk PORT up|down CONNECTIONS SECONDS
 *
 * it transfers as much as it can in that direction and prints the number of bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loopback.h"

#define DESCRIPTORS_MAX 256
#define CHUNK 65536

static char bytes[CHUNK];

/* ---- the backend ---- */

struct peer {
    bool begun, sends;
};

/* False: the connection has ended. */
static bool serve(int fd, struct peer *peer, short events)
{
    ssize_t moved = 1;
    if (events & (POLLIN | POLLHUP | POLLERR)) {
        moved = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (moved > 0 && !peer->begun) {
            peer->begun = true;
            peer->sends = bytes[0] == 'd';
        }
    } else if (events & POLLOUT) {
        moved = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return moved > 0 || (moved < 0 && errno == EAGAIN);
}

static _Noreturn void run_backend(void)
{
    static struct pollfd polls[DESCRIPTORS_MAX];
    static struct peer peers[DESCRIPTORS_MAX];
    nfds_t count = 1;
    polls[0] = (struct pollfd){.fd = loopback_listen(), .events = POLLIN};
    for (;;) {
        poll(polls, count, -1);
        for (nfds_t i = count; i-- > 1;) {
            if (polls[i].revents != 0 && !serve(polls[i].fd, &peers[i], polls[i].revents)) {
                close(polls[i].fd);
                polls[i] = polls[--count];
                peers[i] = peers[count];
            } else {
                polls[i].events = (short)(POLLIN | (peers[i].sends ? POLLOUT : 0));
            }
        }
        if (count < DESCRIPTORS_MAX && (polls[0].revents & POLLIN)) {
            int fd = accept4(polls[0].fd, NULL, NULL, SOCK_NONBLOCK);
            peers[count] = (struct peer){false, false};
            if (fd >= 0)
                polls[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
}

/* ---- the client ---- */

static SSL *open_connection(SSL_CTX *context, int port, const char *way)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SSL *ssl = SSL_new(context);
    if (fd < 0 || ssl == NULL || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1 || SSL_write(ssl, way, 1) != 1)
        fail("bench-bulk: connection");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return ssl;
}

static size_t move(SSL *ssl, bool up)
{
    size_t moved = 0;
    int result = up ? SSL_write_ex(ssl, bytes, sizeof bytes, &moved)
                    : SSL_read_ex(ssl, bytes, sizeof bytes, &moved);
    if (result == 1)
        return moved;
    int error = SSL_get_error(ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        fail("bench-bulk: the server has ended a connection");
    return 0;
}

static void run_client(int port, bool up, int count, double seconds)
{
    static SSL *connections[DESCRIPTORS_MAX];
    static struct pollfd polls[DESCRIPTORS_MAX];
    unsigned long long total = 0;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || count < 1 || count > DESCRIPTORS_MAX)
        fail("bench-bulk: libssl");
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
    for (int i = 0; i < count; i++) {
        connections[i] = open_connection(context, port, up ? "u" : "d");
        polls[i].fd = SSL_get_fd(connections[i]);
        polls[i].events = up ? POLLOUT : POLLIN;
    }
    uint64_t end = clock_now() + (uint64_t)(seconds * NS_PER_S);
    while (clock_now() < end) {
        poll(polls, (nfds_t)count, 10);
        for (int i = 0; i < count; i++)
            if (polls[i].revents != 0)
                total += move(connections[i], up);
    }
    printf("%llu\n", total);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        run_backend();
    run_client(atoi(argv[1]), strcmp(argv[2], "up") == 0, atoi(argv[3]), atof(argv[4]));
    return EXIT_SUCCESS;
}
