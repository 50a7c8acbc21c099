/*
 * A backend that is as cheap as possible: it answers each HTTP/1.1 request head with the same few
 * bytes and keeps the connection open. It prints its port on 127.0.0.1 and runs until it is killed.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/slice.h"
#include "loopback.h"

#define EVENTS_MAX 64
#define DESCRIPTORS_MAX 65536

static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
static const char head_end[] = "\r\n\r\n";

/* For each descriptor, how much of head_end the last bytes match. */
static unsigned char matched[DESCRIPTORS_MAX];

static void accept_all(int epoll, int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) != -1;) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (fd >= DESCRIPTORS_MAX || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            close(fd);
            continue;
        }
        matched[fd] = 0;
    }
}

static void answer(int fd)
{
    char room[4096];
    ssize_t length = read(fd, room, sizeof room);
    for (ssize_t i = 0; i < length; i++) {
        matched[fd] = room[i] == head_end[matched[fd]] ? matched[fd] + 1 : room[i] == '\r';
        if (matched[fd] < sizeof head_end - 1)
            continue;
        matched[fd] = 0;
        if (write(fd, reply, sizeof reply - 1) != sizeof reply - 1)
            length = 0;
    }
    if (length <= 0)
        close(fd);
}

int main(void)
{
    slice_precede(); /* it shares its core with immure-storm */
    int listener = loopback_listen(), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll == -1 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        fail("bench-responder: epoll");
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                answer(events[i].data.fd);
        }
    }
}
