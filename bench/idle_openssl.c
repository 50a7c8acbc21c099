/*
 * What an established connection costs with libssl and nothing else: accepts, shakes hands, and
 * then waits. One session ticket a handshake, as immure-proxy. Prints its port on 127.0.0.1 and
 * runs until it is killed.
 *
 *     bench-idle-openssl CHAIN KEY
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define EVENTS_MAX 64

static void fail(const char *what)
{
    perror(what);
    ERR_print_errors_fp(stderr);
    exit(EXIT_FAILURE);
}

static int listen_anywhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener == -1 || bind(listener, (void *)&address, length) != 0 ||
        listen(listener, SOMAXCONN) != 0 || getsockname(listener, (void *)&address, &length) != 0)
        fail("bench-idle-openssl: listen");
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void accept_all(int epoll, int listener, SSL_CTX *context)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1;) {
        SSL *ssl = SSL_new(context);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = ssl};
        if (ssl == NULL || !SSL_set_fd(ssl, fd) || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            fail("bench-idle-openssl: connection");
        SSL_set_accept_state(ssl);
    }
}

/* The handshake, and then reading, which is how an established connection is found to have ended.
 */
static void step(SSL *ssl)
{
    char room[4096];
    int result = SSL_read(ssl, room, sizeof room);
    if (result > 0 || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ)
        return;
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
    ERR_clear_error();
}

int main(int argc, char **argv)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (argc != 3 || context == NULL || !SSL_CTX_use_certificate_chain_file(context, argv[1]) ||
        !SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) ||
        !SSL_CTX_set_num_tickets(context, 1))
        fail("bench-idle-openssl CHAIN KEY");
    int listener = listen_anywhere(), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll == -1 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        fail("bench-idle-openssl: epoll");
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(epoll, listener, context);
            else
                step(events[i].data.ptr);
        }
    }
}
