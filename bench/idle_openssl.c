/*
 * Shows what an established connection costs with libssl alone: the server accepts, completes the
 * handshake and waits. It sends one session ticket per handshake, like immure-proxy. It prints its
 * port on 127.0.0.1 and runs until it is killed.
 *
 *     bench-idle-openssl CHAIN KEY
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

#define EVENTS_MAX 64

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

/* Does the handshake, then reads, which is how it notices that the connection has ended. */
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

static _Noreturn void refuse(void)
{
    ERR_print_errors_fp(stderr);
    fail("bench-idle-openssl CHAIN KEY");
}

int main(int argc, char **argv)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (argc != 3 || context == NULL || !SSL_CTX_use_certificate_chain_file(context, argv[1]) ||
        !SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) ||
        !SSL_CTX_set_num_tickets(context, 1))
        refuse();
    int listener = loopback_listen(), epoll = epoll_create1(0);
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
