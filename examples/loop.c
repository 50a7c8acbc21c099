#define _GNU_SOURCE 1 /* accept4() */
#include "loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define ACCEPTS 16 /* per turn, so that existing connections do not wait for new ones */
#define RETRY_NS UINT64_C(50000000)

static struct loop *of(struct watch *watch, size_t offset)
{
    return (struct loop *)(void *)((char *)watch - offset);
}

void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static uint64_t clock_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void watch_open(struct loop *loop, struct watch *watch, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    watch->descriptor = descriptor;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0)
        fail("epoll_ctl", strerror(errno));
}

void watch_want(struct loop *loop, const struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = (void *)watch};
    epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->descriptor, &event);
}

void watch_close(struct loop *loop, struct watch *watch)
{
    if (watch->descriptor < 0)
        return;
    close(watch->descriptor);
    watch->descriptor = -1;
    watch->next_closed = loop->all_closed;
    loop->all_closed = watch;
}

/* immured was killed or upgraded. The client repeats its pending requests after reconnecting. */
static void immured_lost(struct loop *loop)
{
    close(loop->immured.descriptor);
    loop->immured.descriptor = -1;
    loop->connect_at = loop->now + RETRY_NS;
    immure_client_reset(loop->client);
}

static void immured_ready(struct watch *watch, uint32_t events)
{
    static uint8_t bytes[65536];
    struct loop *loop = of(watch, offsetof(struct loop, immured));
    if ((events & ~(uint32_t)EPOLLOUT) == 0)
        return; /* immured_send() will */
    ssize_t length = recv(watch->descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0 || immure_client_receive(loop->client, bytes, (size_t)length) != IMMURE_OK)
        immured_lost(loop);
}

/* A name that begins with '@' is in the abstract namespace. */
static void immured_connect(struct loop *loop)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(loop->reference.socket);
    memcpy(address.sun_path, loop->reference.socket, length);
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connect(descriptor, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0) {
        watch_open(loop, &loop->immured, descriptor);
        return;
    }
    close(descriptor);
    loop->connect_at = loop->now + RETRY_NS;
}

/* Sends all of a turn's requests, in one write if the socket takes them. */
static void immured_send(struct loop *loop)
{
    const void *bytes;
    size_t length;
    if (loop->immured.descriptor < 0 && loop->now >= loop->connect_at)
        immured_connect(loop);
    while (loop->immured.descriptor >= 0 &&
           (length = immure_client_output(loop->client, &bytes, loop->now)) > 0) {
        ssize_t sent = send(loop->immured.descriptor, bytes, length, MSG_NOSIGNAL);
        if (sent > 0) {
            immure_client_sent(loop->client, (size_t)sent);
        } else if (errno == EAGAIN) {
            watch_want(loop, &loop->immured, EPOLLIN | EPOLLOUT);
            return;
        } else {
            immured_lost(loop);
        }
    }
    if (loop->immured.descriptor >= 0)
        watch_want(loop, &loop->immured, EPOLLIN);
}

/* The time until the first deadline or the next connection attempt, in ms. */
static int time_to_wait(const struct loop *loop)
{
    uint64_t until = immure_client_next_deadline(loop->client);
    if (loop->immured.descriptor < 0 && loop->connect_at < until)
        until = loop->connect_at;
    if (until == UINT64_MAX)
        return -1;
    return until <= loop->now ? 0 : (int)((until - loop->now) / 1000000 + 1);
}

static void free_closed(struct loop *loop)
{
    while (loop->all_closed != NULL) {
        struct watch *watch = loop->all_closed;
        loop->all_closed = watch->next_closed;
        loop->closed(watch);
    }
}

void loop_run(struct loop *loop)
{
    while (!loop->ended) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(loop->epoll, events, EVENTS, time_to_wait(loop));
        loop->now = clock_now();
        for (int i = 0; i < count; i++) {
            struct watch *watch = events[i].data.ptr;
            if (watch->descriptor >= 0)
                watch->ready(watch, events[i].events);
        }
        immure_client_expire(loop->client, loop->now);
        immured_send(loop);
        free_closed(loop);
    }
}

static void listener_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct loop *loop = of(watch, offsetof(struct loop, listener));
    for (int i = 0; i < ACCEPTS; i++) {
        int descriptor = accept4(watch->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0)
            return;
        loop->accepted(loop, descriptor);
    }
}

static void signal_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    of(watch, offsetof(struct loop, signals))->ended = true;
}

static int listen_on(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(descriptor, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(descriptor, SOMAXCONN) != 0)
        fail(port, strerror(errno));
    return descriptor;
}

static void read_reference(struct loop *loop, const char *path)
{
    char text[IMMURE_REFERENCE_PEM_SIZE];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail(path, strerror(errno));
    size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    enum immure_reference_error error =
        immure_reference_parse_pem(&loop->reference, text, length, loop->der);
    if (error != IMMURE_REFERENCE_OK)
        fail(path, immure_reference_error_text(error));
}

void loop_open(struct loop *loop, const char *reference, const char *port)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    read_reference(loop, reference);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->client = immure_client_new(NULL);
    if (loop->epoll < 0 || loop->client == NULL)
        fail("loop", strerror(errno));
    loop->now = clock_now();
    loop->immured = (struct watch){.descriptor = -1, .ready = immured_ready};
    loop->listener.ready = listener_ready;
    loop->signals.ready = signal_ready;
    watch_open(loop, &loop->listener, listen_on(port));
    watch_open(loop, &loop->signals, signalfd(-1, &signals, SFD_CLOEXEC));
}

void loop_close(struct loop *loop)
{
    free_closed(loop);
    immure_client_free(loop->client);
    if (loop->immured.descriptor >= 0)
        close(loop->immured.descriptor);
    close(loop->listener.descriptor);
    close(loop->signals.descriptor);
    close(loop->epoll);
}
