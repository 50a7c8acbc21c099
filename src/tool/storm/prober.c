#include "storm/prober.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "storm/http.h"
#include "storm/schedule.h"

/* Registered once for each connection, edge-triggered, and never changed. */
#define EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP)
/* The most looks in a row; another follows only one that returned LOOP_EVENTS events. */
#define LOOKS_MAX 8
#define RETRY_PAUSE (100 * NS_PER_MS)
/* For target_connect(): far from the numbers of the storm threads. */
#define FIRST_NUMBER (UINT64_C(240) * 250 * 256)

enum state { STATE_DOWN, STATE_CONNECTING, STATE_HANDSHAKING, STATE_IDLE, STATE_ASKED };

struct probe {
    struct prober *prober;
    struct watch watch;
    struct timer limit; /* the timeout of the present state; stopped while idle */
    enum state state;
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
    struct loop loop;
    unsigned count, established;
    struct schedule schedule; /* shared by all probes: its ticks go to them in turn */
    uint64_t ticks;           /* past ticks */
    double phase;             /* of tick 0, ns after the start */
    uint64_t number;
    char request[1024];
    int request_length;
    char room[16384];
    struct probe probes[];
};

static bool format_request(struct prober *prober, struct target *target)
{
    const struct storm_options *options = target->options;
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

static void probe_close(struct prober *prober, struct probe *probe, uint64_t retry_at)
{
    if (probe->state >= STATE_IDLE)
        prober->established--;
    SSL_free(probe->ssl);
    probe->ssl = NULL;
    watch_close(&prober->loop, &probe->watch);
    counter_add(&prober->tally->open, (uint64_t)-1);
    probe->state = STATE_DOWN;
    timer_start_at(&prober->loop, &probe->limit, retry_at);
}

void prober_free(struct prober *prober)
{
    for (unsigned i = 0; i < prober->count; i++)
        if (prober->probes[i].state != STATE_DOWN)
            probe_close(prober, &prober->probes[i], 0);
    SSL_CTX_free(prober->context);
    loop_close(&prober->loop);
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
        if (probe->state == STATE_ASKED)
            request_over(prober, probe, now, false);
    }
    probe_close(prober, probe, now + RETRY_PAUSE);
}

static void probe_ask(struct prober *prober, struct probe *probe)
{
    const struct storm_options *options = prober->target->options;
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
    timer_start_at(&prober->loop, &probe->limit, now + options->probe_timeout);
    if (probe->free_at <= moment) {
        enum phase phase = timetable_phase(prober->timetable, moment);
        histogram_record(&prober->tally->phase[phase].probe_lateness, now - moment);
    }
}

static void probe_idle(struct prober *prober, struct probe *probe)
{
    timer_stop(&prober->loop, &probe->limit);
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
    uint64_t number = prober->number++;
    int fd = target_connect(prober->target, number, &failure);
    SSL *ssl = fd == -1 ? NULL : target_tls(prober->target, prober->context, number, fd);
    watch_open(&probe->watch, fd, WATCH_EDGE);
    if (ssl == NULL || !watch_want(&prober->loop, &probe->watch, EVENTS)) {
        SSL_free(ssl);
        watch_close(&prober->loop, &probe->watch);
        timer_start_at(&prober->loop, &probe->limit, now + RETRY_PAUSE);
        return;
    }
    probe->ssl = ssl;
    probe->state = STATE_CONNECTING;
    counter_add(&prober->tally->open, 1);
    timer_start_at(&prober->loop, &probe->limit, now + prober->target->options->connect_timeout);
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
    if (probe->state == STATE_CONNECTING) {
        probe->state = STATE_HANDSHAKING;
        timer_start_at(&prober->loop, &probe->limit,
                       clock_now() + prober->target->options->handshake_timeout);
    }
    if (probe->state == STATE_HANDSHAKING)
        step_handshaking(prober, probe);
    else
        step_established(prober, probe);
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

static void probe_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct probe *probe = list_entry(watch, struct probe, watch);
    step(probe->prober, probe);
    ask_due(probe->prober);
}

static void limit_passed(struct timer *timer)
{
    static const enum failure failures[] = {[STATE_CONNECTING] = FAILURE_CONNECT_TIMEOUT,
                                            [STATE_HANDSHAKING] = FAILURE_HANDSHAKE_TIMEOUT,
                                            [STATE_ASKED] = FAILURE_REPLY_TIMEOUT};
    struct probe *probe = list_entry(timer, struct probe, limit);
    if (probe->state == STATE_DOWN)
        probe_connect(probe->prober, probe, clock_now());
    else
        probe_fail(probe->prober, probe, failures[probe->state]);
}

static void probe_init(struct probe *probe, struct prober *prober, unsigned index)
{
    probe->prober = prober;
    probe->next = index;
    watch_init(&probe->watch, probe_ready);
    timer_init(&probe->limit, limit_passed);
    timer_start(&prober->loop, &probe->limit, 0);
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
    bool open = loop_open(&prober->loop);
    prober->loop.exact = true;
    for (unsigned i = 0; i < count; i++)
        probe_init(&prober->probes[i], prober, i);
    if (!open)
        snprintf(target->error, sizeof target->error, "epoll_create1: %s", strerror(errno));
    if (!open || !format_request(prober, target) ||
        !target_prepare(target, prober->context = SSL_CTX_new(TLS_client_method()))) {
        prober_free(prober);
        return NULL;
    }
    return prober;
}

/* Waits for events, at most until `deadline`, and handles events and timeouts. */
static void prober_turn(struct prober *prober, uint64_t deadline)
{
    struct loop *loop = &prober->loop;
    if (prober->timetable && schedule_next(&prober->schedule) < deadline &&
        schedule_next(&prober->schedule) < prober->timetable->end)
        deadline = schedule_next(&prober->schedule);
    if (loop_deadline(loop) < deadline)
        deadline = loop_deadline(loop);
    uint64_t now = clock_now();
    for (int i = 0; i < LOOKS_MAX && loop_look(loop, deadline) == LOOP_EVENTS; i++)
        deadline = now;
    ask_due(prober);
    /* Timeouts are checked against the clock before the wait, so that a reply that has arrived is
     * read, however late this thread runs. */
    loop->now = now;
    loop_run_timers(loop);
}

unsigned prober_connect(struct prober *prober)
{
    const struct storm_options *options = prober->target->options;
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
    const struct storm_options *options = prober->target->options;
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
