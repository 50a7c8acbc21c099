#include "client/exchange.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "client/core.h"
#include "wire/limits.h"

#define BACK_OFF_FIRST NS_PER_MS
#define BACK_OFF_MOST (100 * NS_PER_MS)
#define RECEIVE_SIZE 4096

struct immure_blocking *immure_blocking_new(immure_connect *connect, void *arg)
{
    struct immure_blocking *exchange = malloc(sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    *exchange = (struct immure_blocking){.connect = connect, .arg = arg, .socket = -1};
    exchange->client = immure_client_new(NULL);
    if (exchange->client == NULL) {
        free(exchange);
        return NULL;
    }
    return exchange;
}

/* The socket is non-blocking: connecting to one with a full backlog fails at once and is tried
 * again, where a blocking socket would wait without a limit. */
static int connect_unix(void *arg)
{
    struct immure_blocking *exchange = arg;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -1;
    if (connect(descriptor, (const struct sockaddr *)&exchange->address,
                exchange->address_length) == 0)
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

struct immure_blocking *immure_blocking_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    struct immure_blocking *exchange = immure_blocking_new(connect_unix, NULL);
    if (exchange == NULL)
        return NULL;
    memcpy(address.sun_path, path, length + 1);
    bool abstract =
        path[0] == '@'; /* unix(7): the name begins with a zero, and its length ends it */
    if (abstract)
        address.sun_path[0] = '\0';
    exchange->address = address;
    exchange->address_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
    exchange->arg = exchange;
    return exchange;
}

void immure_blocking_demand_user(struct immure_blocking *blocking, uid_t user)
{
    blocking->demands_user = true;
    blocking->user = user;
}

const char *exchange_error_text(const struct immure_blocking *exchange, enum immure_error error)
{
    return error == IMMURE_E_IO && exchange->refused != 0 ? strerror(exchange->refused)
                                                          : immure_error_text(error);
}

/* Whether the descriptor is still the socket that was connected. */
static bool socket_is_ours(const struct immure_blocking *exchange)
{
    struct stat now;
    return exchange->socket >= 0 && fstat(exchange->socket, &now) == 0 &&
           file_identity_is(&exchange->identity, &now);
}

/* Only closes the socket, without shutdown(): a process that inherited it by fork() may use it. */
static void let_go(struct immure_blocking *exchange)
{
    if (socket_is_ours(exchange))
        close(exchange->socket);
    exchange->socket = -1;
}

static void disconnect(struct immure_blocking *exchange)
{
    let_go(exchange);
    immure_client_reset(exchange->client);
}

void immure_blocking_free(struct immure_blocking *exchange)
{
    if (exchange == NULL)
        return;
    let_go(exchange);
    immure_client_free(exchange->client);
    free(exchange);
}

/* Whether a failure to connect is permanent. Others pass when immured starts, or accepts from its
 * backlog. */
static bool is_permanent(int reason)
{
    static const int reasons[] = {EACCES,     EPERM,    EAFNOSUPPORT, EPROTONOSUPPORT,
                                  EPROTOTYPE, ENOTDIR,  ELOOP,        ENAMETOOLONG,
                                  EINVAL,     ENOTSOCK, EOPNOTSUPP};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reason == reasons[i])
            return true;
    return false;
}

/* unix(7): on a connected socket SO_PEERCRED is the user that called listen(). */
static bool user_listens(int socket, uid_t user)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == user;
}

/* Takes over a connected socket. */
static enum immure_error take_socket(struct immure_blocking *exchange, int socket)
{
    struct stat now;
    if (exchange->demands_user && !user_listens(socket, exchange->user)) {
        close(socket);
        return IMMURE_E_LISTENER;
    }
    if (fstat(socket, &now) != 0) {
        exchange->refused = errno;
        close(socket);
        return IMMURE_E_IO;
    }
    exchange->socket = socket;
    exchange->identity = file_identity_of(&now);
    exchange->pid = getpid();
    exchange->used = false;
    return IMMURE_OK;
}

/* The first attempt is made at once, later ones after pauses that grow until a reply comes. */
static enum immure_error try_to_connect(struct immure_blocking *exchange, uint64_t now)
{
    uint64_t pause = exchange->back_off > 0 ? 2 * exchange->back_off : BACK_OFF_FIRST;
    exchange->back_off = pause < BACK_OFF_MOST ? pause : BACK_OFF_MOST;
    exchange->next_attempt = now + exchange->back_off;
    int socket = descriptor_above_streams(exchange->connect(exchange->arg));
    exchange->refused = socket < 0 ? errno : 0;
    if (socket >= 0)
        return take_socket(exchange, socket);
    return is_permanent(exchange->refused) ? IMMURE_E_IO : IMMURE_OK;
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Sends the output; *wanted are the events to wait for. False: the connection is lost. */
static bool send_output(struct immure_blocking *exchange, short *wanted)
{
    const void *data;
    size_t length;
    *wanted = POLLIN;
    while ((length = immure_client_output(exchange->client, &data, clock_now())) > 0) {
        ssize_t sent = send(exchange->socket, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            *wanted |= POLLOUT;
            return would_block();
        }
        immure_client_sent(exchange->client, (size_t)sent);
    }
    return true;
}

/* Receives. False: the connection is lost. *error: the peer is no immured, or refuses us. */
static bool receive_input(struct immure_blocking *exchange, enum immure_error *error)
{
    uint8_t input[RECEIVE_SIZE];
    ssize_t received = recv(exchange->socket, input, sizeof input, MSG_DONTWAIT);
    if (received < 0)
        return would_block();
    if (received == 0)
        return false;
    *error = immure_client_receive(exchange->client, input, (size_t)received);
    return true;
}

enum immure_error exchange_step(struct immure_blocking *exchange, uint64_t now, bool ready,
                                struct exchange_wait *wait)
{
    enum immure_error error = IMMURE_OK;
    *wait = (struct exchange_wait){.descriptor = -1};
    bool strange =
        exchange->socket >= 0 && (exchange->pid != getpid() || !socket_is_ours(exchange));
    bool lost = strange || (exchange->socket >= 0 && ready && !receive_input(exchange, &error));
    if (error != IMMURE_OK && exchange->used) {
        /* The bad bytes may have been sent after the last reply: the request is sent once more,
         * over a new connection. */
        error = IMMURE_OK;
        lost = true;
    }
    if (lost)
        disconnect(exchange);
    if (error != IMMURE_OK)
        return error;
    if (exchange->socket < 0 && now >= exchange->next_attempt)
        error = try_to_connect(exchange, now);
    if (error != IMMURE_OK)
        return error;
    if (exchange->socket >= 0 && !send_output(exchange, &wait->events)) {
        /* An immured that refuses us has closed the connection; its reason may still be unread. */
        (void)receive_input(exchange, &error);
        if (error != IMMURE_OK)
            return error;
        disconnect(exchange);
    }
    wait->descriptor = exchange->socket;
    wait->until = exchange->socket >= 0 ? UINT64_MAX : exchange->next_attempt;
    return IMMURE_OK;
}

/* A late reply, or the rest of a broken one, could be mistaken for the reply to the next request.
 * So the connection ends with the request, and immured drops the request if it has not begun. */
static void give_up(struct immure_blocking *exchange, immure_request_id id)
{
    immure_request_cancel(exchange->client, id);
    disconnect(exchange);
    errno = exchange->refused;
}

/* Called when the reply has arrived. What follows it in the stream belongs to no request. */
static void finish(struct immure_blocking *exchange, enum immure_error error)
{
    exchange->used = true;
    exchange->back_off = exchange->next_attempt = 0;
    if (error != IMMURE_OK || !client_between_frames(exchange->client))
        disconnect(exchange);
}

bool exchange_poll(void *arg, const struct exchange_wait *wait)
{
    (void)arg;
    struct pollfd event = {.fd = wait->descriptor, .events = wait->events};
    return poll(&event, 1, clock_poll_timeout(wait->until, clock_now())) > 0;
}

enum immure_error exchange_run(struct immure_blocking *exchange, const bool *done,
                               immure_request_id id, uint64_t deadline, exchange_waiter *waiter,
                               void *arg)
{
    enum immure_error error = IMMURE_OK;
    bool ready = false;
    for (uint64_t now; (now = clock_now()) < deadline;) {
        struct exchange_wait wait;
        error = exchange_step(exchange, now, ready, &wait);
        if (*done) {
            finish(exchange, error);
            return IMMURE_OK;
        }
        if (error != IMMURE_OK)
            break;
        if (wait.until > deadline)
            wait.until = deadline;
        ready = waiter(arg, &wait);
    }
    if (error == IMMURE_OK)
        error = exchange->refused != 0 ? IMMURE_E_IO : IMMURE_E_TIMEOUT;
    give_up(exchange, id);
    return error;
}
