#include "proxy/worker/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/worker/connection.h"
#include "proxy/worker/thread.h"

static void listener_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct listener *listener = list_entry(watch, struct listener, watch);
    step_queue(&listener->thread->loop, STEP_ACCEPT, &listener->step);
}

/* The client that could not be accepted stays in the backlog; the next one that closes resumes us.
 */
static void out_of_resources(struct listener *listener)
{
    log_warning(
        "cannot accept: errno %d with %zu connections open; accepting pauses until one ends", errno,
        listener->thread->connection_count);
    if (listener->thread->connection_count > 0)
        listener_pause(listener);
}

static void accept_one(struct step *step)
{
    struct listener *listener = list_entry(step, struct listener, step);
    if (listener->paused)
        return;
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof peer;
    int descriptor = accept4(listener->watch.descriptor, (struct sockaddr *)&peer, &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            out_of_resources(listener);
        return;
    }
    connection_open(listener->thread, listener->frontend, descriptor, &peer);
    if (!listener->paused)
        step_queue(&listener->thread->loop, STEP_ACCEPT, step);
}

void listener_open(struct listener *listener, struct thread *thread, int descriptor,
                   const struct tls_frontend *frontend)
{
    int on = 1;
    listener->thread = thread;
    listener->frontend = frontend;
    watch_init(&listener->watch, listener_ready);
    step_init(&listener->step, accept_one);
    /* Accepted sockets inherit it, so no handshake pays for the call. Not for unix sockets. */
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch_open(&listener->watch, descriptor);
    watch_want(&thread->loop, &listener->watch, EPOLLIN);
}

void listener_pause(struct listener *listener)
{
    listener->paused = true;
    step_drop(&listener->step);
    watch_want(&listener->thread->loop, &listener->watch, 0);
}

void listener_resume(struct listener *listener)
{
    listener->paused = false;
    watch_want(&listener->thread->loop, &listener->watch, EPOLLIN);
}
