#include "storm/prober.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/slice.h"
#include "storm/http.h"
#include "storm/schedule.h"

#define EVENTS_MAX 1024
#define RETRY_PAUSE (100 * NS_PER_MS)
/* For target_connect(): far from the numbers of the storm threads. */
#define FIRST_NUMBER (UINT64_C(240) * 250 * 256)

enum state { STATE_DOWN, STATE_CONNECTING, STATE_HANDSHAKING, STATE_IDLE, STATE_ASKED };

struct probe {
    struct list wait; /* in the prober's list for its state; in no list when idle */
    uint64_t deadline;
    enum state state;
    int fd;
    SSL *ssl;
    struct http_reply reply;
    size_t echoed;
    uint64_t next;    /* the tick of its oldest pending request */
    uint64_t free_at; /* when it last became able to send a request */
};

struct prober {
    const struct target *target;
    const struct timetable *timetable; /* NULL until the run begins */
    struct thread_tally *tally;
    SSL_CTX *context;
    int epoll;
    unsigned count, established;
    struct schedule schedule; /* shared by all probes: its ticks go to them in turn */
    uint64_t ticks;           /* past ticks */
    double phase;             /* of tick 0, ns after the start */
    uint64_t number;
    struct list down, connecting, handshaking, asked; /* each sorted by deadline */
    char request[1024];
    int request_length;
    char room[16384];
    struct probe probes[];
};

static bool format_request(struct prober *prober, struct target *target)
{
    const struct options *options = target->options;
    if (options->probe_plain > 0)
        return true;
    prober->request_length =
        snprintf(prober->request, sizeof prober->request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
                 options->probe_request, target->server_name ? target->server_name : options->host);
    if ((size_t)prober->request_length < sizeof prober->request)
        return true;
    snprintf(target->error, sizeof target->error, "--probe-request: the path is too long");
    return false;
}

static void wait_in(struct probe *probe, struct list *list, uint64_t deadline)
{
    list_remove(&probe->wait);
    list_append(list, &probe->wait);
    probe->deadline = deadline;
}

struct prober *prober_new(struct target *target, struct thread_tally *tally)
{
    unsigned count = target->options->probes;
    struct prober *prober = calloc(1, sizeof *prober + count * sizeof prober->probes[0]);
    if (prober == NULL) {
        snprintf(target->error, sizeof target->error, "out of memory");
        return NULL;
    }
    prober->target = target;
    prober->tally = tally;
    prober->count = count;
    prober->number = FIRST_NUMBER;
    list_init(&prober->down);
    list_init(&prober->connecting);
    list_init(&prober->handshaking);
    list_init(&prober->asked);
    for (unsigned i = 0; i < count; i++) {
        list_init(&prober->probes[i].wait);
        prober->probes[i].next = i;
        wait_in(&prober->probes[i], &prober->down, 0);
    }
    prober->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (prober->epoll == -1)
        snprintf(target->error, sizeof target->error, "epoll_create1: %s", strerror(errno));
    if (prober->epoll == -1 || !format_request(prober, target) ||
        !target_prepare(target, prober->context = SSL_CTX_new(TLS_client_method()))) {
        prober_free(prober);
        return NULL;
    }
    return prober;
}

static void probe_close(struct prober *prober, struct probe *probe, uint64_t retry_at)
{
    if (probe->state >= STATE_IDLE)
        prober->established--;
    SSL_free(probe->ssl);
    probe->ssl = NULL;
    close(probe->fd);
    counter_add(&prober->tally->open, (uint64_t)-1);
    probe->state = STATE_DOWN;
    wait_in(probe, &prober->down, retry_at);
}

void prober_free(struct prober *prober)
{
    for (unsigned i = 0; i < prober->count; i++)
        if (prober->probes[i].state != STATE_DOWN)
            probe_close(prober, &prober->probes[i], 0);
    SSL_CTX_free(prober->context);
    if (prober->epoll != -1)
        close(prober->epoll);
    free(prober);
}

static uint64_t moment_of(const struct prober *prober, uint64_t tick)
{
    const struct schedule *schedule = &prober->schedule;
    return schedule->origin + (uint64_t)(prober->phase + schedule->interval * (double)tick);
}

/* The probe's oldest request is finished, answered or not. */
static void request_over(struct prober *prober, struct probe *probe, uint64_t now, bool answered)
{
    uint64_t moment = moment_of(prober, probe->next);
    struct tally *tally = &prober->tally->phase[timetable_phase(prober->timetable, moment)];
    counter_add(answered ? &tally->answered : &tally->lost, 1);
    histogram_record(&tally->probe, now > moment ? now - moment : 0);
    probe->next += prober->count;
    probe->free_at = now;
}

static void probe_fail(struct prober *prober, struct probe *probe, enum failure failure)
{
    uint64_t now = clock_now();
    if (prober->timetable) {
        enum phase phase = timetable_phase(prober->timetable, now);
        counter_add(&prober->tally->phase[phase].probe_failures[failure], 1);
    }
    if (probe->state == STATE_ASKED)
        request_over(prober, probe, now, false);
    probe_close(prober, probe, now + RETRY_PAUSE);
}

static void probe_ask(struct prober *prober, struct probe *probe)
{
    const struct options *options = prober->target->options;
    uint64_t now = clock_now(), moment = moment_of(prober, probe->next);
    /* Each SSL_write() makes one record, for which the kernel has room. */
    int result = options->probe_plain > 0
                     ? SSL_write(probe->ssl, prober->room, (int)options->probe_plain)
                     : SSL_write(probe->ssl, prober->request, prober->request_length);
    probe->state = STATE_ASKED;
    probe->reply = (struct http_reply){0};
    probe->echoed = 0;
    if (result <= 0) {
        probe_fail(prober, probe, failure_of_ssl(probe->ssl, result));
        return;
    }
    wait_in(probe, &prober->asked, now + options->probe_timeout);
    if (probe->free_at <= moment) {
        enum phase phase = timetable_phase(prober->timetable, moment);
        histogram_record(&prober->tally->phase[phase].probe_lateness, now - moment);
    }
}

static void probe_idle(struct prober *prober, struct probe *probe)
{
    list_remove(&probe->wait);
    probe->state = STATE_IDLE;
    if (probe->next < prober->ticks)
        probe_ask(prober, probe);
}

/* Takes a part of the reply. HTTP_DONE when it is complete. */
static enum http_state take_answer(struct prober *prober, struct probe *probe, size_t length)
{
    unsigned plain = prober->target->options->probe_plain;
    if (plain == 0)
        return http_reply_read(&probe->reply, prober->room, length);
    probe->echoed += length;
    return probe->echoed < plain ? HTTP_BODY : probe->echoed == plain ? HTTP_DONE : HTTP_BAD;
}

static void probe_connect(struct prober *prober, struct probe *probe, uint64_t now)
{
    enum failure failure = FAILURE_SYSTEM;
    int fd = target_connect(prober->target, prober->number++, &failure);
    SSL *ssl = fd == -1 ? NULL : target_tls(prober->target, prober->context, fd);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = probe};
    if (ssl == NULL || epoll_ctl(prober->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        SSL_free(ssl);
        if (fd != -1)
            close(fd);
        wait_in(probe, &prober->down, now + RETRY_PAUSE);
        return;
    }
    probe->fd = fd;
    probe->ssl = ssl;
    probe->state = STATE_CONNECTING;
    counter_add(&prober->tally->open, 1);
    wait_in(probe, &prober->connecting, now + prober->target->options->connect_timeout);
}

static void answer_done(struct prober *prober, struct probe *probe)
{
    if (probe->reply.status >= 400) {
        probe_fail(prober, probe, FAILURE_STATUS);
        return;
    }
    request_over(prober, probe, clock_now(), true);
    if (probe->reply.close) {
        probe_close(prober, probe, 0);
        probe_connect(prober, probe, clock_now());
    } else {
        probe_idle(prober, probe);
    }
}

/* An event while idle or asked: a reply, a session ticket, or the end of the connection. */
static void step_established(struct prober *prober, struct probe *probe)
{
    for (;;) {
        int length = SSL_read(probe->ssl, prober->room, sizeof prober->room);
        if (length <= 0) {
            if (SSL_get_error(probe->ssl, length) != SSL_ERROR_WANT_READ)
                probe_fail(prober, probe, failure_of_ssl(probe->ssl, length));
            return;
        }
        enum http_state state =
            probe->state == STATE_ASKED ? take_answer(prober, probe, (size_t)length) : HTTP_BAD;
        if (state == HTTP_BAD) {
            probe_fail(prober, probe, FAILURE_REPLY);
            return;
        }
        if (state == HTTP_DONE) {
            answer_done(prober, probe);
            if (probe->state < STATE_IDLE)
                return;
        }
    }
}

static void step_handshaking(struct prober *prober, struct probe *probe)
{
    int result = SSL_do_handshake(probe->ssl);
    if (result == 1) {
        prober->established++;
        probe->free_at = clock_now();
        probe_idle(prober, probe);
        return;
    }
    int kind = SSL_get_error(probe->ssl, result);
    if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
        probe_fail(prober, probe, failure_of_ssl(probe->ssl, result));
}

static void step(struct prober *prober, struct probe *probe)
{
    if (probe->state == STATE_DOWN) /* it failed after epoll_wait() returned this event */
        return;
    if (probe->state == STATE_CONNECTING) {
        probe->state = STATE_HANDSHAKING;
        wait_in(probe, &prober->handshaking,
                clock_now() + prober->target->options->handshake_timeout);
    }
    if (probe->state == STATE_HANDSHAKING)
        step_handshaking(prober, probe);
    else
        step_established(prober, probe);
}

static void expire_list(struct prober *prober, struct list *list, uint64_t now,
                        enum failure failure)
{
    list_for_each(node, list)
    {
        struct probe *probe = list_entry(node, struct probe, wait);
        if (probe->deadline > now)
            return;
        if (probe->state == STATE_DOWN)
            probe_connect(prober, probe, now);
        else
            probe_fail(prober, probe, failure);
    }
}

/* Sends a request on each probe that is due and idle. */
static void ask_due(struct prober *prober)
{
    if (prober->timetable == NULL)
        return;
    for (uint64_t moment; (moment = schedule_next(&prober->schedule)) <= clock_now() &&
                          moment < prober->timetable->end;) {
        struct probe *probe = &prober->probes[prober->ticks % prober->count];
        prober->ticks++;
        schedule_advance(&prober->schedule);
        if (probe->state == STATE_IDLE)
            probe_ask(prober, probe);
    }
}

static uint64_t earliest_of(uint64_t earliest, const struct list *list)
{
    if (list_empty(list))
        return earliest;
    uint64_t deadline = list_entry(list->next, struct probe, wait)->deadline;
    return deadline < earliest ? deadline : earliest;
}

/* Waits for events, at most until `deadline`, and handles events and timeouts. */
static void prober_turn(struct prober *prober, uint64_t deadline)
{
    if (prober->timetable && schedule_next(&prober->schedule) < deadline &&
        schedule_next(&prober->schedule) < prober->timetable->end)
        deadline = schedule_next(&prober->schedule);
    deadline = earliest_of(deadline, &prober->down);
    deadline = earliest_of(deadline, &prober->connecting);
    deadline = earliest_of(deadline, &prober->handshaking);
    deadline = earliest_of(deadline, &prober->asked);

    uint64_t now = clock_now(), left = deadline > now ? deadline - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / NS_PER_S),
                               .tv_nsec = (long)(left % NS_PER_S)};
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_pwait2(prober->epoll, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        step(prober, events[i].data.ptr);
        ask_due(prober);
    }
    ask_due(prober);
    /* Timeouts are checked against the clock before the wait, so that a reply that has arrived is
     * read, however late this thread runs. */
    expire_list(prober, &prober->asked, now, FAILURE_REPLY_TIMEOUT);
    expire_list(prober, &prober->handshaking, now, FAILURE_HANDSHAKE_TIMEOUT);
    expire_list(prober, &prober->connecting, now, FAILURE_CONNECT_TIMEOUT);
    expire_list(prober, &prober->down, now, FAILURE_SYSTEM);
}

unsigned prober_connect(struct prober *prober)
{
    const struct options *options = prober->target->options;
    uint64_t deadline = clock_now() + options->connect_timeout + options->handshake_timeout;
    while (prober->established < prober->count && clock_now() < deadline)
        prober_turn(prober, deadline);
    return prober->established;
}

static bool all_dealt_with(const struct prober *prober)
{
    for (unsigned i = 0; i < prober->count; i++)
        if (prober->probes[i].next < prober->ticks)
            return false;
    return true;
}

void prober_run(struct prober *prober, const struct timetable *timetable)
{
    const struct options *options = prober->target->options;
    struct cpu_watch watch = {0};
    slice_precede();
    prober->schedule =
        schedule_regular(timetable->start, options->probe_rate * prober->count, options->seed);
    prober->phase = prober->schedule.next;
    prober->timetable = timetable;

    uint64_t last = timetable->end + options->probe_timeout;
    for (uint64_t now = clock_now(); now < last; now = clock_now()) {
        cpu_watch_step(&watch, timetable, now, prober->tally);
        if (watch.done && all_dealt_with(prober))
            break;
        prober_turn(prober, now < timetable->measured ? timetable->measured
                            : now < timetable->end    ? timetable->end
                                                      : last);
    }
    for (unsigned i = 0; i < prober->count; i++)
        while (prober->probes[i].next < prober->ticks)
            request_over(prober, &prober->probes[i], clock_now(), false);
}
