#include "storm/handshaker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "loop/loop.h"
#include "storm/http.h"
#include "storm/library.h"
#include "storm/schedule.h"

/* Registered once for each connection, edge-triggered, and never changed. */
#define EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP)
/* The most looks in a row; another follows only one that returned LOOP_EVENTS events. */
#define LOOKS_MAX 8
/* The longest that we wait for the server to close its side. */
#define CLOSE_TIMEOUT NS_PER_S
/* The delay in a closed loop after connections that failed at once. */
#define PAUSE NS_PER_MS
#define NICE_BESIDE_PROBES 5

enum state { STATE_CONNECTING, STATE_HANDSHAKING, STATE_SENDING, STATE_REPLY, STATE_CLOSING };

struct storm_connection {
    struct handshaker *handshaker;
    struct watch watch;
    struct timer limit; /* the timeout of the present state */
    struct list unused;
    uint64_t scheduled;
    enum state state;
    SSL *ssl;
    struct http_reply reply;
    struct storm_connection *made_before;
};

struct handshaker {
    const struct target *target;
    const struct timetable *timetable;
    struct thread_tally *tally;
    struct library library;
    SSL_CTX *context;
    SSL_SESSION *session; /* to resume, or NULL */
    struct loop loop;
    unsigned open, most_open;
    double rate; /* of this thread; 0: closed loop */
    struct schedule schedule;
    uint64_t held_up; /* the arrival that is waiting because too many connections are open */
    uint64_t number;  /* of the next connection, for target_connect */
    struct list unused;
    struct storm_connection *made; /* the last one allocated; all are freed at the end */
    char request[1024];
    int request_length;
    unsigned seed;
    char description[DESCRIPTION_SIZE];
    char room[16384];
};

/* The thread's part of a total; the first threads take the remainder. */
static unsigned share(unsigned total, unsigned threads, unsigned index)
{
    return total / threads + (index < total % threads ? 1 : 0);
}

static bool format_request(struct handshaker *handshaker, struct target *target)
{
    if (target->options->request == NULL)
        return true;
    const char *host = target->server_name ? target->server_name : target->options->host;
    handshaker->request_length = snprintf(
        handshaker->request, sizeof handshaker->request,
        "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target->options->request, host);
    if ((size_t)handshaker->request_length < sizeof handshaker->request)
        return true;
    snprintf(target->error, sizeof target->error, "--request: the path is too long");
    return false;
}

static bool open_context(struct handshaker *handshaker, struct target *target)
{
    if (library_open(&handshaker->library, target->options->unchecked))
        handshaker->context = library_client(&handshaker->library);
    return target_prepare(target, handshaker->context);
}

struct handshaker *handshaker_new(struct target *target, unsigned index, struct thread_tally *tally)
{
    const struct storm_options *options = target->options;
    struct handshaker *handshaker = calloc(1, sizeof *handshaker);
    if (handshaker == NULL) {
        snprintf(target->error, sizeof target->error, "out of memory");
        return NULL;
    }
    handshaker->target = target;
    handshaker->tally = tally;
    handshaker->rate = options->rate / options->threads;
    handshaker->most_open = share(options->rate > 0 ? options->max_open : options->concurrency,
                                  options->threads, index);
    /* Far apart, so that threads seldom use the same source address. */
    handshaker->number = (uint64_t)index * 250 * 256;
    handshaker->seed = options->seed + index;
    list_init(&handshaker->unused);
    bool open = loop_open(&handshaker->loop);
    handshaker->loop.exact = true;
    if (!open)
        snprintf(target->error, sizeof target->error, "epoll_create1: %s", strerror(errno));
    if (!open || !format_request(handshaker, target) || !open_context(handshaker, target) ||
        (options->resume &&
         (handshaker->session = target_session(target, handshaker->context)) == NULL)) {
        handshaker_free(handshaker);
        return NULL;
    }
    return handshaker;
}

void handshaker_free(struct handshaker *handshaker)
{
    for (struct storm_connection *connection = handshaker->made, *before; connection;
         connection = before) {
        before = connection->made_before;
        free(connection);
    }
    SSL_SESSION_free(handshaker->session);
    SSL_CTX_free(handshaker->context);
    library_close(&handshaker->library);
    loop_close(&handshaker->loop);
    free(handshaker);
}

static struct tally *tally_of(struct handshaker *handshaker, uint64_t scheduled)
{
    return &handshaker->tally->phase[timetable_phase(handshaker->timetable, scheduled)];
}

/* Starts the timeout of the present state. */
static void limit(struct storm_connection *connection, uint64_t from, uint64_t duration)
{
    timer_start_at(&connection->handshaker->loop, &connection->limit, from + duration);
}

static void connection_end(struct handshaker *handshaker, struct storm_connection *connection)
{
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    watch_close(&handshaker->loop, &connection->watch);
    timer_stop(&handshaker->loop, &connection->limit);
    list_append(&handshaker->unused, &connection->unused);
    counter_add(&handshaker->tally->open, (uint64_t)-1);
    handshaker->open--;
}

static void count_failure(struct handshaker *handshaker, uint64_t scheduled, enum state state,
                          enum failure failure)
{
    struct tally *tally = tally_of(handshaker, scheduled);
    counter_add(state >= STATE_SENDING ? &tally->requests_failed : &tally->failed, 1);
    counter_add(&tally->failures[failure], 1);
}

static void connection_fail(struct handshaker *handshaker, struct storm_connection *connection,
                            enum failure failure)
{
    count_failure(handshaker, connection->scheduled, connection->state, failure);
    connection_end(handshaker, connection);
}

static void step_closing(struct handshaker *handshaker, struct storm_connection *connection)
{
    ssize_t length;
    do
        length = read(connection->watch.descriptor, handshaker->room, sizeof handshaker->room);
    while (length > 0);
    if (length == 0 || errno != EAGAIN)
        connection_end(handshaker, connection);
}

/*
 * Sends close_notify and FIN, then waits for the server to close. Closing at once would send a
 * reset if session tickets are still in flight, and the server might count a failure.
 */
static void connection_close(struct handshaker *handshaker, struct storm_connection *connection,
                             uint64_t now)
{
    if (handshaker->target->options->close_by_reset) {
        struct linger reset = {.l_onoff = 1};
        setsockopt(connection->watch.descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        connection_end(handshaker, connection);
        return;
    }
    SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    shutdown(connection->watch.descriptor, SHUT_WR);
    connection->state = STATE_CLOSING;
    limit(connection, now, CLOSE_TIMEOUT);
    step_closing(handshaker, connection); /* earlier data causes no further event */
}

static void reply_done(struct handshaker *handshaker, struct storm_connection *connection,
                       uint64_t now)
{
    if (connection->reply.status >= 400) {
        connection_fail(handshaker, connection, FAILURE_STATUS);
        return;
    }
    struct tally *tally = tally_of(handshaker, connection->scheduled);
    histogram_record(&tally->reply, now - connection->scheduled);
    connection_close(handshaker, connection, now);
}

static void step_reply(struct handshaker *handshaker, struct storm_connection *connection)
{
    for (;;) {
        int length = SSL_read(connection->ssl, handshaker->room, sizeof handshaker->room);
        if (length <= 0) {
            int kind = SSL_get_error(connection->ssl, length);
            if (kind == SSL_ERROR_WANT_READ)
                return;
            if (kind == SSL_ERROR_ZERO_RETURN && http_reply_end(&connection->reply))
                break;
            connection_fail(handshaker, connection, failure_of_ssl(connection->ssl, length));
            return;
        }
        enum http_state state =
            http_reply_read(&connection->reply, handshaker->room, (size_t)length);
        if (state == HTTP_BAD) {
            connection_fail(handshaker, connection, FAILURE_REPLY);
            return;
        }
        if (state == HTTP_DONE)
            break;
    }
    reply_done(handshaker, connection, clock_now());
}

static void step_sending(struct handshaker *handshaker, struct storm_connection *connection)
{
    int result = SSL_write(connection->ssl, handshaker->request, handshaker->request_length);
    if (result > 0) {
        connection->state = STATE_REPLY;
        step_reply(handshaker, connection);
    } else if (SSL_get_error(connection->ssl, result) != SSL_ERROR_WANT_WRITE) {
        connection_fail(handshaker, connection, failure_of_ssl(connection->ssl, result));
    }
}

static void handshake_done(struct handshaker *handshaker, struct storm_connection *connection)
{
    uint64_t now = clock_now();
    struct tally *tally = tally_of(handshaker, connection->scheduled);
    histogram_record(&tally->handshake, now - connection->scheduled);
    counter_add(SSL_session_reused(connection->ssl) ? &tally->resumed : &tally->full, 1);
    if (handshaker->description[0] == 0)
        target_describe(connection->ssl, handshaker->description, DESCRIPTION_SIZE);
    if (handshaker->request_length == 0) {
        connection_close(handshaker, connection, now);
        return;
    }
    connection->state = STATE_SENDING;
    limit(connection, now, handshaker->target->options->handshake_timeout);
    step_sending(handshaker, connection);
}

static void step_handshaking(struct handshaker *handshaker, struct storm_connection *connection)
{
    int result = SSL_do_handshake(connection->ssl);
    if (result == 1) {
        handshake_done(handshaker, connection);
        return;
    }
    int kind = SSL_get_error(connection->ssl, result);
    if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
        connection_fail(handshaker, connection, failure_of_ssl(connection->ssl, result));
}

/* The first event means that connect() succeeded or failed. The handshake's first write tells
 * which. */
static void step_connecting(struct handshaker *handshaker, struct storm_connection *connection)
{
    connection->state = STATE_HANDSHAKING;
    limit(connection, clock_now(), handshaker->target->options->handshake_timeout);
    step_handshaking(handshaker, connection);
}

static void (*const steps[])(struct handshaker *handshaker, struct storm_connection *connection) = {
    [STATE_CONNECTING] = step_connecting, [STATE_HANDSHAKING] = step_handshaking,
    [STATE_SENDING] = step_sending,       [STATE_REPLY] = step_reply,
    [STATE_CLOSING] = step_closing,
};

static void launch_scheduled(struct handshaker *handshaker);

static void connection_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct storm_connection *connection = list_entry(watch, struct storm_connection, watch);
    struct handshaker *handshaker = connection->handshaker;
    steps[connection->state](handshaker, connection);
    if (handshaker->rate > 0)
        launch_scheduled(handshaker); /* many events in a row must not delay an arrival */
}

static void limit_passed(struct timer *timer)
{
    struct storm_connection *connection = list_entry(timer, struct storm_connection, limit);
    if (connection->state == STATE_CLOSING)
        connection_end(connection->handshaker, connection);
    else
        connection_fail(connection->handshaker, connection,
                        connection->state == STATE_CONNECTING    ? FAILURE_CONNECT_TIMEOUT
                        : connection->state == STATE_HANDSHAKING ? FAILURE_HANDSHAKE_TIMEOUT
                                                                 : FAILURE_REPLY_TIMEOUT);
}

static struct storm_connection *connection_take(struct handshaker *handshaker)
{
    struct list *node = list_take(&handshaker->unused);
    if (node)
        return list_entry(node, struct storm_connection, unused);
    struct storm_connection *connection = calloc(1, sizeof *connection);
    if (connection) {
        connection->handshaker = handshaker;
        watch_init(&connection->watch, connection_ready);
        timer_init(&connection->limit, limit_passed);
        list_init(&connection->unused);
        connection->made_before = handshaker->made;
        handshaker->made = connection;
    }
    return connection;
}

static void launch(struct handshaker *handshaker, uint64_t scheduled, uint64_t now)
{
    struct tally *tally = tally_of(handshaker, scheduled);
    counter_add(&tally->started, 1);
    if (handshaker->rate > 0)
        histogram_record(&tally->lateness, now - scheduled);

    enum failure failure = FAILURE_SYSTEM;
    struct storm_connection *connection = connection_take(handshaker);
    uint64_t number = connection ? handshaker->number++ : 0;
    int fd = connection ? target_connect(handshaker->target, number, &failure) : -1;
    SSL *ssl = fd == -1 ? NULL : target_tls(handshaker->target, handshaker->context, number, fd);
    if (connection)
        watch_open(&connection->watch, fd, WATCH_EDGE);
    if (ssl == NULL || !watch_want(&handshaker->loop, &connection->watch, EVENTS)) {
        count_failure(handshaker, scheduled, STATE_CONNECTING, failure);
        SSL_free(ssl);
        if (connection) {
            watch_close(&handshaker->loop, &connection->watch);
            list_append(&handshaker->unused, &connection->unused);
        }
        return;
    }
    if (handshaker->session)
        SSL_set_session(ssl, handshaker->session);
    connection->scheduled = scheduled;
    connection->state = STATE_CONNECTING;
    connection->ssl = ssl;
    connection->reply = (struct http_reply){0};
    limit(connection, now, handshaker->target->options->connect_timeout);
    counter_add(&handshaker->tally->open, 1);
    handshaker->open++;
}

static void launch_scheduled(struct handshaker *handshaker)
{
    for (;;) {
        uint64_t scheduled = schedule_next(&handshaker->schedule), now = clock_now();
        if (scheduled > now || scheduled >= handshaker->timetable->end)
            return;
        bool full = handshaker->open >= handshaker->most_open;
        if (full && handshaker->held_up != scheduled)
            counter_add(&handshaker->tally->held_up, 1);
        if (full && now < handshaker->timetable->end) {
            handshaker->held_up = scheduled;
            return;
        }
        schedule_advance(&handshaker->schedule);
        if (full) {
            counter_add(&tally_of(handshaker, scheduled)->started, 1);
            count_failure(handshaker, scheduled, STATE_CONNECTING, FAILURE_HELD_UP);
        } else {
            launch(handshaker, scheduled, now);
        }
    }
}

/* Starts each connection at most once per call, so that events and timeouts are still handled when
 * all connections are refused at once. */
static void launch_closed_loop(struct handshaker *handshaker)
{
    for (unsigned i = handshaker->open; i < handshaker->most_open; i++) {
        uint64_t now = clock_now();
        if (now >= handshaker->timetable->start && now < handshaker->timetable->end)
            launch(handshaker, now, now);
    }
}

static void launch_due(struct handshaker *handshaker)
{
    if (handshaker->rate > 0)
        launch_scheduled(handshaker);
    else
        launch_closed_loop(handshaker);
}

/* Returns when the loop must run next even without an event. */
static uint64_t next_deadline(const struct handshaker *handshaker, uint64_t now)
{
    const struct timetable *timetable = handshaker->timetable;
    uint64_t deadline = now < timetable->start      ? timetable->start
                        : now < timetable->measured ? timetable->measured
                        : now < timetable->end      ? timetable->end
                                                    : UINT64_MAX;
    if (handshaker->rate > 0 && handshaker->open < handshaker->most_open &&
        schedule_next(&handshaker->schedule) < timetable->end &&
        schedule_next(&handshaker->schedule) < deadline)
        deadline = schedule_next(&handshaker->schedule);
    if (handshaker->rate == 0 && handshaker->open < handshaker->most_open &&
        now >= timetable->start && now + PAUSE < deadline)
        deadline = now + PAUSE;
    uint64_t first_limit = loop_deadline(&handshaker->loop);
    return first_limit < deadline ? first_limit : deadline;
}

void handshaker_run(struct handshaker *handshaker, const struct timetable *timetable)
{
    struct cpu_watch watch = {0};
    struct loop *loop = &handshaker->loop;
    handshaker->timetable = timetable;
    if (handshaker->target->options->probes > 0) /* the thread that times the probes goes first */
        setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_BESIDE_PROBES);
    if (handshaker->rate > 0)
        handshaker->schedule =
            schedule_poisson(timetable->start, handshaker->rate, handshaker->seed);
    do {
        uint64_t now = clock_now(), until = next_deadline(handshaker, now);
        for (int i = 0; i < LOOKS_MAX && loop_look(loop, until) == LOOP_EVENTS; i++)
            until = now;
        /* Timeouts are checked against the clock before the wait, so that events are handled first
         * even if this thread had no core for a long time. */
        loop->now = now;
        loop_run_timers(loop);
        now = clock_now();
        cpu_watch_step(&watch, timetable, now, handshaker->tally);
        launch_due(handshaker);
    } while (!watch.done || handshaker->open > 0);
}

const char *handshaker_description(const struct handshaker *handshaker)
{
    return handshaker->description;
}
