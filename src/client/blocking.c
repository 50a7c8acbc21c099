#include "immure/blocking.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"

#define BACK_OFF_FIRST NS_PER_MS
#define BACK_OFF_MOST (100 * NS_PER_MS)
#define RECEIVE_SIZE 4096

struct immure_blocking {
    immure_connect *connect;
    void *arg;
    struct immure_client *client;
    int socket;        /* -1: none */
    pid_t pid;         /* whose connection it is */
    int refused;       /* errno of the last attempt to connect; 0: it succeeded */
    uint64_t back_off; /* before the next attempt to connect, ns; 0: at once */
    struct sockaddr_un address;
};

/* One request and how it ended. */
struct call {
    bool done;
    enum immure_error error;
    uint8_t *signature;
    struct immure_signature *reply;
    immure_list_callback *list;
    immure_stats_callback *stats;
    void *arg;
};

struct immure_blocking *immure_blocking_new(immure_connect *connect, void *arg)
{
    struct immure_blocking *blocking = malloc(sizeof *blocking);
    if (blocking == NULL)
        return NULL;
    *blocking = (struct immure_blocking){.connect = connect, .arg = arg, .socket = -1};
    blocking->client = immure_client_new(NULL);
    if (blocking->client == NULL) {
        free(blocking);
        return NULL;
    }
    return blocking;
}

/* Non-blocking: a full backlog is to be asked again, not to be waited for without a limit. */
static int connect_unix(void *arg)
{
    struct immure_blocking *blocking = arg;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -1;
    if (connect(descriptor, (const struct sockaddr *)&blocking->address,
                sizeof blocking->address) == 0)
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

struct immure_blocking *immure_blocking_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    struct immure_blocking *blocking = immure_blocking_new(connect_unix, NULL);
    if (blocking == NULL)
        return NULL;
    memcpy(address.sun_path, path, strlen(path) + 1);
    blocking->address = address;
    blocking->arg = blocking;
    return blocking;
}

/* close() only: after a fork the other process goes on with the same socket. */
static void disconnect(struct immure_blocking *blocking)
{
    descriptor_close(&blocking->socket);
    immure_client_reset(blocking->client);
}

void immure_blocking_free(struct immure_blocking *blocking)
{
    if (blocking == NULL)
        return;
    descriptor_close(&blocking->socket);
    immure_client_free(blocking->client);
    free(blocking);
}

static void sleep_until(uint64_t time)
{
    struct timespec until = {.tv_sec = (time_t)(time / NS_PER_S),
                             .tv_nsec = (long)(time % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* A first attempt is made at once, later ones after a growing pause that a reply ends. */
static void connect_after_back_off(struct immure_blocking *blocking, uint64_t deadline)
{
    uint64_t next = clock_now() + blocking->back_off;
    if (blocking->back_off > 0)
        sleep_until(next < deadline ? next : deadline);
    blocking->back_off = blocking->back_off > 0 ? 2 * blocking->back_off : BACK_OFF_FIRST;
    if (blocking->back_off > BACK_OFF_MOST)
        blocking->back_off = BACK_OFF_MOST;
    blocking->socket = blocking->connect(blocking->arg);
    blocking->refused = blocking->socket < 0 ? errno : 0;
    blocking->pid = getpid();
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Sends what there is; *wanted are the events to wait for. False: the connection is lost. */
static bool send_output(struct immure_blocking *blocking, short *wanted)
{
    const void *data;
    size_t length;
    *wanted = POLLIN;
    while ((length = immure_client_output(blocking->client, &data, clock_now())) > 0) {
        ssize_t sent = send(blocking->socket, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            *wanted |= POLLOUT;
            return would_block();
        }
        immure_client_sent(blocking->client, (size_t)sent);
    }
    return true;
}

/* Takes what has come. False: the connection is lost. *error: immured is not one. */
static bool receive_input(struct immure_blocking *blocking, enum immure_error *error)
{
    uint8_t input[RECEIVE_SIZE];
    ssize_t received = recv(blocking->socket, input, sizeof input, MSG_DONTWAIT);
    if (received < 0)
        return would_block();
    if (received == 0)
        return false;
    blocking->back_off = 0;
    *error = immure_client_receive(blocking->client, input, (size_t)received, clock_now());
    return true;
}

/* One step of the exchange over the connection there is. */
static bool exchange_step(struct immure_blocking *blocking, uint64_t deadline,
                          enum immure_error *error)
{
    struct pollfd ready = {.fd = blocking->socket};
    if (!send_output(blocking, &ready.events))
        return false;
    int count = poll(&ready, 1, clock_poll_timeout(deadline, clock_now()));
    if (count < 0 && errno != EINTR)
        return false;
    return count <= 0 || receive_input(blocking, error);
}

/* The request is given up, and immured is told if it can be. */
static void give_up(struct immure_blocking *blocking, immure_request id, enum immure_error error)
{
    short wanted;
    immure_request_cancel(blocking->client, id);
    if (blocking->socket >= 0 && (error != IMMURE_E_TIMEOUT || !send_output(blocking, &wanted)))
        disconnect(blocking);
    errno = blocking->refused;
}

static enum immure_error exchange(struct immure_blocking *blocking, struct call *call,
                                  immure_request id, uint64_t deadline)
{
    enum immure_error error = IMMURE_OK;
    while (!call->done && error == IMMURE_OK) {
        if (clock_now() >= deadline)
            error = blocking->refused != 0 ? IMMURE_E_IO : IMMURE_E_TIMEOUT;
        else if (blocking->socket < 0)
            connect_after_back_off(blocking, deadline);
        else if (!exchange_step(blocking, deadline, &error))
            disconnect(blocking);
    }
    if (call->done)
        return call->error;
    give_up(blocking, id, error);
    return error;
}

static uint64_t begin(struct immure_blocking *blocking, uint64_t timeout)
{
    if (blocking->socket >= 0 && blocking->pid != getpid())
        disconnect(blocking);
    uint64_t now = clock_now();
    return timeout < UINT64_MAX - now ? now + timeout : UINT64_MAX - 1;
}

static void signed_back(void *arg, const struct immure_signature *reply)
{
    struct call *call = arg;
    call->done = true;
    call->error = reply->error;
    *call->reply = *reply;
    call->reply->error_text = immure_error_text(reply->error);
    call->reply->signature = call->signature;
    if (reply->signature_length > 0)
        memcpy(call->signature, reply->signature, reply->signature_length);
}

enum immure_error immure_blocking_sign(struct immure_blocking *blocking,
                                       const struct immure_sign_request *request, uint64_t timeout,
                                       uint8_t *signature, struct immure_signature *reply)
{
    struct call call = {.signature = signature, .reply = reply};
    struct immure_sign_request timed = *request;
    uint64_t deadline = begin(blocking, timeout);
    if (timed.deadline == 0 || timed.deadline > deadline)
        timed.deadline = deadline;
    immure_request id;
    enum immure_error error = immure_sign(blocking->client, &timed, signed_back, &call, &id);
    if (error == IMMURE_OK)
        error = exchange(blocking, &call, id, timed.deadline);
    if (!call.done)
        *reply = (struct immure_signature){.error = error, .error_text = immure_error_text(error)};
    return error;
}

static void listed_back(void *arg, const struct immure_key *key, enum immure_error error)
{
    struct call *call = arg;
    call->done = key == NULL;
    call->error = error;
    call->list(call->arg, key, error);
}

enum immure_error immure_blocking_list(struct immure_blocking *blocking, uint64_t timeout,
                                       immure_list_callback *callback, void *arg)
{
    struct call call = {.list = callback, .arg = arg};
    uint64_t deadline = begin(blocking, timeout);
    immure_request id;
    enum immure_error error = immure_list(blocking->client, listed_back, &call, &id);
    if (error == IMMURE_OK)
        error = exchange(blocking, &call, id, deadline);
    if (!call.done)
        callback(arg, NULL, error);
    return error;
}

static void stats_back(void *arg, const struct immure_stat *stats, size_t count,
                       enum immure_error error)
{
    struct call *call = arg;
    call->done = true;
    call->error = error;
    call->stats(call->arg, stats, count, error);
}

enum immure_error immure_blocking_stats(struct immure_blocking *blocking, uint64_t timeout,
                                        immure_stats_callback *callback, void *arg)
{
    struct call call = {.stats = callback, .arg = arg};
    uint64_t deadline = begin(blocking, timeout);
    immure_request id;
    enum immure_error error = immure_stats(blocking->client, stats_back, &call, &id);
    if (error == IMMURE_OK)
        error = exchange(blocking, &call, id, deadline);
    if (!call.done)
        callback(arg, NULL, 0, error);
    return error;
}

static void pinged_back(void *arg, enum immure_error error)
{
    struct call *call = arg;
    call->done = true;
    call->error = error;
}

enum immure_error immure_blocking_ping(struct immure_blocking *blocking, uint64_t timeout)
{
    struct call call = {0};
    uint64_t deadline = begin(blocking, timeout);
    immure_request id;
    enum immure_error error = immure_ping(blocking->client, pinged_back, &call, &id);
    return error == IMMURE_OK ? exchange(blocking, &call, id, deadline) : error;
}
