#include "proxy/checker/check.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Checks that run at a time: a bound of descriptors. */
#define RUNNING_MAX 256
#define REQUEST_SIZE 4096

static void limit_expired(struct timer *timer);
static void due_expired(struct timer *timer);

/* ---- results ---- */

static void schedule(struct check *check, uint64_t due)
{
    check->due = due;
    check->timer.expired = due_expired;
    timer_start_at(check->checks->loop, &check->timer, due);
}

static void stop(struct check *check)
{
    SSL_free(check->ssl);
    check->ssl = NULL;
    connect_close(&check->connection, check->checks->loop);
    timer_stop(check->checks->loop, &check->timer);
    check->runs = false;
    check->checks->running--;
}

/* One that waits because too many were running. Not from here, because many may fail at once. */
static void start_late(struct checks *checks)
{
    struct list *late = list_take(&checks->late);
    if (late != NULL)
        timer_start(checks->loop, &list_entry(late, struct check, late)->timer, 0);
}

/* Those that were missed meanwhile are left out, so that checks stay spread over the interval. */
static void schedule_next(struct check *check)
{
    uint64_t interval = check->backend->check.interval, now = check->checks->loop->now;
    uint64_t missed = now > check->due ? (now - check->due) / interval : 0;
    schedule(check, check->due + (missed + 1) * interval);
    start_late(check->checks);
}

/* What the last result makes of the verdict. A server that has not been checked counts as up, so
 * the first good check confirms that. */
static enum server_health judge(const struct check *check)
{
    unsigned rise = check->health == HEALTH_UNKNOWN ? 1 : check->backend->check.rise;
    if (check->health != HEALTH_UP && check->good >= rise)
        return HEALTH_UP;
    if (check->health != HEALTH_DOWN && check->bad >= check->backend->check.fall)
        return HEALTH_DOWN;
    return check->health;
}

static void finish(struct check *check, bool good, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void finish(struct check *check, bool good, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->reason, sizeof check->reason, format, arguments);
    va_end(arguments);
    check->good = good ? check->good + 1 : 0;
    check->bad = good ? 0 : check->bad + 1;
    enum server_health health = judge(check);
    bool changed = health != check->health;
    check->health = health;
    stop(check);
    if (changed)
        check->checks->changed(check->checks, check);
    schedule_next(check);
}

/* ---- what is asked ---- */

/* The PROXY header of a connection that stands for no client. NULL: none is wanted. */
static const char *proxy_header(const struct check *check, size_t *length)
{
    static const char v1[] = "PROXY UNKNOWN\r\n";
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0"; /* LOCAL, of no length */
    const bool second = check->backend->proxy_protocol == PROXY_PROTOCOL_V2;
    *length = second ? sizeof v2 : sizeof v1 - 1; /* the last of v2's bytes is a zero */
    if (check->backend->proxy_protocol == PROXY_PROTOCOL_NONE)
        return NULL;
    return second ? v2 : v1;
}

/* A new connection has room for the few bytes of a check. */
static bool send_all(const struct check *check, const char *bytes, size_t length)
{
    return send(check->connection.watch.descriptor, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) ==
           (ssize_t)length;
}

static void shake_hands(struct check *check)
{
    ERR_clear_error();
    int result = SSL_connect(check->ssl);
    int error = SSL_get_error(check->ssl, result);
    struct loop *loop = check->checks->loop;
    if (result == 1) {
        finish(check, true, "%s", SSL_get_version(check->ssl));
    } else if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        watch_want(loop, &check->connection.watch,
                   error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
    } else {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        finish(check, false, "TLS handshake: %s",
               reason != NULL ? reason : "the server has closed");
    }
}

static void begin_tls(struct check *check)
{
    const char *host = check->backend->check.host;
    check->ssl = SSL_new(check->checks->tls);
    if (check->ssl == NULL || SSL_set_fd(check->ssl, check->connection.watch.descriptor) != 1 ||
        (host != NULL && SSL_set_tlsext_host_name(check->ssl, host) != 1))
        finish(check, false, "out of memory");
    else
        shake_hands(check);
}

/* The path of a unix socket is not the name of a host. */
static const char *host_of(const struct check *check)
{
    const char *host = check->backend->check.host;
    if (host != NULL)
        return host;
    return check->connection.tcp ? check->server.name : "localhost";
}

static void begin_http(struct check *check)
{
    char request[REQUEST_SIZE];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: immure-proxy\r\n"
                          "Connection: close\r\n\r\n",
                          check->backend->check.path, host_of(check));
    if (length < 0 || (size_t)length >= sizeof request)
        finish(check, false, "the request is too long");
    else if (!send_all(check, request, (size_t)length))
        finish(check, false, "%s", strerror(errno));
    else
        watch_want(check->checks->loop, &check->connection.watch, EPOLLIN);
}

/* The status of an answer that begins with "HTTP/1.1 200". 0: it does not. */
static unsigned status_of(const char answer[STATUS_LINE])
{
    static const char version[] = "HTTP/1.";
    const char *digits = answer + STATUS_LINE - 3;
    unsigned status = 0;
    if (memcmp(answer, version, sizeof version - 1) != 0 || digits[-1] != ' ')
        return 0;
    for (int i = 0; i < 3; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
        status = 10 * status + (unsigned)(digits[i] - '0');
    }
    return status;
}

static void judge_answer(struct check *check)
{
    const struct status_range *expected = &check->backend->check.status;
    unsigned status = status_of(check->answer);
    if (status == 0)
        finish(check, false, "the answer is not HTTP");
    else
        finish(check, status >= expected->least && status <= expected->most, "HTTP status %u",
               status);
}

static void read_answer(struct check *check)
{
    ssize_t got = recv(check->connection.watch.descriptor, check->answer + check->answered,
                       STATUS_LINE - check->answered, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        finish(check, false, "%s", got < 0 ? strerror(errno) : "closed without an answer");
        return;
    }
    check->answered += (size_t)got;
    if (check->answered == STATUS_LINE)
        judge_answer(check);
}

/* ---- events ---- */

static void connected(struct server_connection *connection, int cause)
{
    struct check *check = list_entry(connection, struct check, connection);
    size_t length;
    const char *header = proxy_header(check, &length);
    check->connected = cause == 0;
    if (cause != 0)
        finish(check, false, "%s", strerror(cause));
    else if (header != NULL && !send_all(check, header, length))
        finish(check, false, "%s", strerror(errno));
    else if (check->backend->check.kind == CHECK_TLS)
        begin_tls(check);
    else if (check->backend->check.kind == CHECK_HTTP)
        begin_http(check);
    else
        finish(check, true, "connected");
}

static void ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct check *check = list_entry(watch, struct check, connection.watch);
    if (!check->connected)
        connect_step(&check->connection);
    else if (check->ssl != NULL)
        shake_hands(check);
    else
        read_answer(check);
}

static void limit_expired(struct timer *timer)
{
    struct check *check = list_entry(timer, struct check, timer);
    finish(check, false, "no answer within %" PRIu64 " ms",
           check->backend->check.timeout / NS_PER_MS);
}

static void start(struct check *check)
{
    struct checks *checks = check->checks;
    checks->running++;
    check->runs = true;
    check->connected = false;
    check->answered = 0;
    check->timer.expired = limit_expired;
    timer_start(checks->loop, &check->timer, check->backend->check.timeout);
    connect_begin(&check->connection, checks->loop, &check->server, check->backend->check.timeout);
}

static void due_expired(struct timer *timer)
{
    struct check *check = list_entry(timer, struct check, timer);
    if (check->checks->running < RUNNING_MAX)
        start(check);
    else
        list_append(&check->checks->late, &check->late);
}

void check_begin(struct check *check, struct checks *checks, const struct backend_config *backend,
                 const struct server_config *server, uint64_t due)
{
    *check =
        (struct check){.checks = checks,
                       .backend = backend,
                       .config = server,
                       .server = {.name = server->address.text, .addresses = server->addresses},
                       .rests = server->setting.mode == MODE_DISABLED,
                       .health = server->verdict.health};
    connect_init(&check->connection, ready, connected);
    timer_init(&check->timer, due_expired);
    list_init(&check->late);
    list_init(&check->changed);
    if (!check->rests)
        schedule(check, due);
}

void check_rest(struct check *check, bool rests)
{
    if (rests == check->rests)
        return;
    check->rests = rests;
    check->good = check->bad = 0;
    if (!rests) {
        schedule(check, check->checks->loop->now);
        return;
    }
    list_remove(&check->late);
    timer_stop(check->checks->loop, &check->timer);
    if (!check->runs)
        return;
    stop(check);
    start_late(check->checks);
}

void check_end(struct check *check)
{
    if (check->checks == NULL)
        return;
    SSL_free(check->ssl);
    connect_close(&check->connection, check->checks->loop);
    timer_stop(check->checks->loop, &check->timer);
}
