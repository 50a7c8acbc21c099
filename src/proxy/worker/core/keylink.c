#include "proxy/worker/core/keylink.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"

#define RECEIVE_SIZE 65536
#define RECEIVES_PER_TURN 4
#define RETRY_PAUSE (20 * NS_PER_MS)
/* How long a blocking exchange waits for the master before it tries again. */
#define MASTER_WAIT_MS 1000

static void ask_master(struct keylink *link)
{
    struct control_message message = {.type = CONTROL_KEYD_WANTED};
    if (!control_send(link->control.descriptor, &message, -1))
        log_error("cannot ask the master for a connection to immured: errno %d", errno);
}

static void lose_connection(struct keylink *link, const char *why)
{
    log_warning("connection to immured lost (%s); %zu signatures wait for the next one", why,
                immure_client_pending(link->client));
    watch_close(link->loop, &link->connection);
    immure_client_reset(link->client);
    metric_add(&link->metrics->keyd_reconnects_total, 1);
    atomic_store_explicit(&link->metrics->keyd_connected, 0, memory_order_relaxed);
    ask_master(link);
}

/* False: nothing more has arrived, or the connection is lost. */
static bool receive(struct keylink *link)
{
    static _Thread_local uint8_t bytes[RECEIVE_SIZE];
    ssize_t length = recv(link->connection.descriptor, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (length <= 0) {
        lose_connection(link, length == 0 ? "end of file" : "receive error");
        return false;
    }
    enum immure_error error = immure_client_receive(link->client, bytes, (size_t)length);
    if (error != IMMURE_OK) {
        lose_connection(link, immure_error_text(error));
        return false;
    }
    return length == sizeof bytes;
}

static void connection_ready(struct watch *watch, uint32_t events)
{
    struct keylink *link = list_entry(watch, struct keylink, connection);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        for (int i = 0; i < RECEIVES_PER_TURN && receive(link); i++)
            ;
    /* EPOLLOUT needs no action: the flush at the end of this turn sends. */
}

static void attach(struct keylink *link, int descriptor)
{
    if (descriptor < 0) {
        timer_start(link->loop, &link->retry, RETRY_PAUSE);
        return;
    }
    watch_open(&link->connection, descriptor, WATCH_LEVEL);
    watch_want(link->loop, &link->connection, EPOLLIN);
    atomic_store_explicit(&link->metrics->keyd_connected, 1, memory_order_relaxed);
}

static void retry(struct timer *timer)
{
    ask_master(list_entry(timer, struct keylink, retry));
}

static void restart_deadline(struct keylink *link)
{
    uint64_t deadline = immure_client_next_deadline(link->client);
    if (deadline != UINT64_MAX)
        timer_start_at(link->loop, &link->deadline, deadline);
}

/* The request that the timer was started for may have been answered in the meantime. */
static void deadline_passed(struct timer *timer)
{
    struct keylink *link = list_entry(timer, struct keylink, deadline);
    immure_client_expire(link->client, link->loop->now);
    restart_deadline(link);
}

static void control_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct keylink *link = list_entry(watch, struct keylink, control);
    struct control_message message;
    int descriptor = -1;
    int got = control_receive(watch->descriptor, &message, &descriptor);
    if (got < 0)
        return;
    if (got == 0)
        watch_want(link->loop, watch, 0);
    if (got > 0 && message.type == CONTROL_KEYD && link->client != NULL)
        attach(link, descriptor);
    else
        link->command(link->owner, got > 0 ? &message : NULL, descriptor);
}

/* For immure_blocking: a round trip to the master, which may send other messages first. */
static int connect_blocking(void *arg)
{
    struct keylink *link = arg;
    struct pollfd master = {.fd = link->control.descriptor, .events = POLLIN};
    ask_master(link);
    while (poll(&master, 1, MASTER_WAIT_MS) > 0) {
        struct control_message message;
        int descriptor = -1;
        int got = control_receive(master.fd, &message, &descriptor);
        if (got > 0 && message.type == CONTROL_KEYD) {
            errno = ECONNREFUSED;
            return descriptor;
        }
        if (got < 0 && errno == EAGAIN)
            continue;
        link->command(link->owner, got > 0 ? &message : NULL, descriptor);
        if (got <= 0)
            break;
    }
    errno = ETIMEDOUT;
    return -1;
}

bool keylink_open(struct keylink *link, int control, enum signing_mode mode, size_t requests)
{
    watch_init(&link->connection, connection_ready);
    watch_init(&link->control, control_ready);
    timer_init(&link->retry, retry);
    timer_init(&link->deadline, deadline_passed);
    watch_open(&link->control, control, WATCH_LEVEL);
    if (link->loop != NULL)
        watch_want(link->loop, &link->control, EPOLLIN);
    if (mode == SIGNING_SYNC) {
        link->blocking = immure_blocking_new(connect_blocking, link);
        return link->blocking != NULL;
    }
    if (mode == SIGNING_ASYNC) {
        struct immure_client_options options = {.max_requests = requests};
        link->client = immure_client_new(&options);
        if (link->client == NULL)
            return false;
        ask_master(link);
    }
    return true;
}

void keylink_close(struct keylink *link)
{
    immure_client_free(link->client);
    immure_blocking_free(link->blocking);
    link->client = NULL;
    link->blocking = NULL;
    watch_close(link->loop, &link->connection);
}

static void send_output(struct keylink *link)
{
    const void *bytes;
    size_t length = immure_client_output(link->client, &bytes, link->loop->now);
    if (length == 0)
        return;
    ssize_t sent = send(link->connection.descriptor, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        lose_connection(link, "send error");
        return;
    }
    if (sent > 0)
        immure_client_sent(link->client, (size_t)sent);
    bool all = sent == (ssize_t)length;
    watch_want(link->loop, &link->connection, all ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void keylink_flush(struct keylink *link)
{
    if (link->client == NULL)
        return;
    if (link->connection.descriptor >= 0)
        send_output(link);
    restart_deadline(link);
    atomic_store_explicit(&link->metrics->signatures_pending, immure_client_pending(link->client),
                          memory_order_relaxed);
}
