#include "keyd/front/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "keyd/front/dispatch.h"
#include "keyd/front/intake.h"
#include "keyd/front/listeners.h"
#include "keyd/front/rights.h"
#include "keyd/front/session.h"
#include "wire/message.h"

#define ACCEPTS_AT_ONCE 8      /* so that a client that keeps connecting does not hold up others */
#define GIVERS_LOOKED_AT 16    /* sessions that are considered when one has to give way */
#define DESCRIPTORS_BESIDES 48 /* not for sessions: immured's own, and one to accept with */
#define STOP_TIME (10 * NS_PER_S)
/* The longest time between two turns while something has a deadline. */
#define HEARTBEAT (100 * NS_PER_MS)

static void peer_refuse(struct keyd_server *server, int socket, const struct peer *peer)
{
    const struct audit_request nothing = {.key = NULL};
    uint8_t room[WIRE_HEADER_SIZE + 2 + WIRE_ERROR_TEXT_MAX];
    struct buffer output = {.data = room, .capacity = sizeof room, .limit = sizeof room};
    const char *text = immure_error_text(IMMURE_E_PEER);
    struct wire_error error = {.error = IMMURE_E_PEER, .text = text, .text_length = strlen(text)};
    server->stats.sessions_refused++;
    audit_refused(&server->audit, account_of(&server->strangers, peer->uid, server->loop.now), peer,
                  &nothing, IMMURE_E_PEER, "neither allow-users nor allow-groups names this user");
    if (wire_put_error(&output, 0, &error) &&
        send(socket, buffer_bytes(&output), buffer_length(&output), MSG_NOSIGNAL | MSG_DONTWAIT) <
            0)
        log_debug("send: %s", strerror(errno));
    close(socket);
}

static struct account *largest_account(struct keyd_server *server)
{
    struct account *largest = &server->clients.shared;
    list_for_each(node, &server->clients.list)
    {
        struct account *account = list_entry(node, struct account, node);
        if (account->session_count > largest->session_count)
            largest = account;
    }
    return largest;
}

/* Ends one of the account's sessions: of those that have been silent for longest, the first idle
 * one. If none of them is idle, `must` ends the first. */
static bool give_way(struct account *giver, bool must)
{
    size_t left = GIVERS_LOOKED_AT;
    list_for_each(node, &giver->sessions)
    {
        struct session *session = list_entry(node, struct session, account_node);
        if (left-- == 0)
            break;
        if (!session_is_idle(session))
            continue;
        session_give_way(session);
        return true;
    }
    if (must)
        session_give_way(list_entry(giver->sessions.next, struct session, account_node));
    return must;
}

/* Makes room for a session of the account. If there is none, the account with the most sessions
 * gives up one, idle or not: else it could keep all of them by leaving replies unread. If no
 * account has many more than the newcomer, the newcomer gives up an idle session of its own. */
static bool make_room(struct keyd_server *server, struct account *newcomer)
{
    if (server->session_count < server->session_max)
        return true;
    struct account *largest = largest_account(server);
    if (largest->session_count > newcomer->session_count + 1)
        return give_way(largest, true);
    return give_way(newcomer, false);
}

static void peer_greet(struct keyd_server *server, int socket)
{
    struct peer peer;
    if (!peer_read(&peer, socket) ||
        !(rights_all(server, &peer) || allow_has(&server->door, &peer))) {
        peer_refuse(server, socket, &peer);
        peer_free(&peer);
        return;
    }
    struct account *account = account_of(&server->clients, peer.uid, server->loop.now);
    if (make_room(server, account)) {
        session_begin(server, socket, &peer, account);
        return;
    }
    server->stats.sessions_refused++;
    if (audit_admits(&server->audit, account, ACCOUNT_LINE_SESSION))
        log_warning("a session of uid %u is refused: of %zu sessions it already has %zu",
                    (unsigned)peer.uid, server->session_count, account->session_count);
    peer_free(&peer);
    close(socket);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct keyd_server *server = list_entry(watch, struct listener, watch)->server;
    for (int i = 0; i < ACCEPTS_AT_ONCE && watch->descriptor >= 0; i++) {
        int socket = accept4(watch->descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (socket >= 0) {
            peer_greet(server, socket);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (audit_admits(&server->audit, &server->clients.shared, ACCOUNT_LINE_SESSION))
                log_warning("accepting pauses: %s, with %zu sessions", strerror(errno),
                            server->session_count);
            listeners_pause(server);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return; /* EAGAIN: another immured on the same socket may have been quicker */
        }
    }
}

static void signer_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    crew_woken(list_entry(watch, struct keyd_server, wake)->scheduler->crew);
}

static void schedule(struct keyd_server *server)
{
    struct list done;
    list_init(&done);
    scheduler_run(server->scheduler, server->loop.now, &done);
    for (struct list *node; (node = list_take(&done)) != NULL;)
        dispatch_done(server, list_entry(node, struct job, queue_node));
    if (server->keyring->compact.left)
        scheduler_clear(server->scheduler);
    server->keyring->compact.left = false;
}

static void stop(struct keyd_server *server)
{
    if (server->stopping) {
        server->stop_now = true;
        return;
    }
    log_info("stopping: %zu sessions, %zu requests waiting", server->session_count,
             server->scheduler->queue.share.jobs);
    server->stopping = true;
    timer_start(&server->loop, &server->stop_time, STOP_TIME);
    listeners_close(server);
    for (struct list *node; (node = list_take(&server->input)) != NULL;)
        list_init(node);
    list_for_each(node, &server->sessions)
        session_end_or_watch(list_entry(node, struct session, node));
}

static void stop_time_over(struct timer *timer)
{
    list_entry(timer, struct keyd_server, stop_time)->stop_now = true;
}

static void signal_caught(struct signal_watch *signals, int number)
{
    (void)number;
    stop(list_entry(signals, struct keyd_server, signals));
}

/* Signals come as events, so no thread may be interrupted by them. */
static bool open_signals(struct keyd_server *server, bool supervised)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    /* the terminal sends SIGINT to the supervisor too, which sends SIGTERM when it is time */
    if (supervised)
        signal(SIGINT, SIG_IGN);
    else
        sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return signal_watch_open(&server->loop, &server->signals, &set);
}

/* The number of sessions that the limit of descriptors allows. */
static size_t count_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= 2 * DESCRIPTORS_BESIDES)
        return DESCRIPTORS_BESIDES;
    return (size_t)limit.rlim_cur - DESCRIPTORS_BESIDES;
}

bool server_init(struct keyd_server *server, const struct server_config *config,
                 struct keyring *keyring, struct scheduler *scheduler, uid_t starter,
                 bool supervised)
{
    *server = (struct keyd_server){.config = config,
                                   .keyring = keyring,
                                   .scheduler = scheduler,
                                   .starter = starter,
                                   .started_wall = clock_wall(),
                                   .started = clock_now()};
    list_init(&server->sessions);
    list_init(&server->input);
    list_init(&server->unflushed);
    list_init(&server->leaving);
    listeners_init(server);
    timer_init(&server->stop_time, stop_time_over);
    signal_watch_init(&server->signals, signal_caught);
    watch_init(&server->wake, signer_ready);
    accounts_init(&server->clients, &scheduler->queue.share, SERVER_ACCOUNTS);
    accounts_init(&server->strangers, &scheduler->queue.share, SERVER_STRANGERS);
    server->session_max = count_descriptors();
    bool open = loop_open(&server->loop) && open_signals(server, supervised) &&
                in_flight_init(&server->in_flight);
    if (!open)
        log_error("event loop: %s", strerror(errno));
    bool curves = open && ecdhe_open(&server->ecdhe);
    if (open && !curves)
        log_error("libcrypto is out of memory, or lacks a curve of ECDHE");
    if (curves)
        return true;
    server_destroy(server);
    return false;
}

bool server_listen(struct keyd_server *server, int socket)
{
    struct listener *listener = &server->listeners[server->listener_count];
    *listener = (struct listener){.server = server};
    watch_init(&listener->watch, listener_ready);
    watch_open(&listener->watch, socket, WATCH_LEVEL);
    if (descriptor_set_nonblocking(socket, true) &&
        watch_want(&server->loop, &listener->watch, EPOLLIN)) {
        server->listener_count++;
        return true;
    }
    log_error("listening socket: %s", strerror(errno));
    return false;
}

/* The user who started immured made the socket pair, and vouches for its other end. */
bool server_add_session(struct keyd_server *server, int socket)
{
    if (!descriptor_set_nonblocking(socket, true)) {
        log_error("session socket: %s", strerror(errno));
        return false;
    }
    struct peer peer;
    if (!peer_read(&peer, socket)) {
        log_error("session socket: %s", strerror(errno));
        peer_free(&peer);
        return false;
    }
    peer.uid = server->starter;
    return session_begin(server, socket, &peer,
                         account_of(&server->clients, peer.uid, server->loop.now));
}

static bool has_deadlines(const struct keyd_server *server)
{
    return server->scheduler->queue.share.jobs > 0 || server->ungreeted > 0;
}

/* When the next turn comes even if nothing happens; not before now. */
static uint64_t next_time(const struct keyd_server *server)
{
    uint64_t now = server->loop.now;
    uint64_t next = scheduler_deadline(server->scheduler, now);
    if (!list_empty(&server->unflushed) || !list_empty(&server->input))
        next = now;
    if (has_deadlines(server) && now + HEARTBEAT < next)
        next = now + HEARTBEAT;
    if (loop_deadline(&server->loop) < next)
        next = loop_deadline(&server->loop);
    return next > now ? next : now;
}

static void flush_all(struct keyd_server *server)
{
    struct list flushing;
    list_init(&flushing);
    list_move_all(&flushing, &server->unflushed);
    for (struct list *node; (node = list_take(&flushing)) != NULL;)
        session_flush(list_entry(node, struct session, unflushed_node));
}

static void forgive(struct keyd_server *server, uint64_t ns)
{
    queue_forgive(&server->scheduler->queue, ns);
    list_for_each(node, &server->sessions)
        session_forgive(list_entry(node, struct session, node), ns);
}

/* When the whole process stood still (SIGSTOP, a frozen container or machine), it neither signed
 * nor read. That time does not count against waiting requests, nor against clients that have to
 * send HELLO. Time in which this thread has worked is not such a time. */
static void forgive_standstill(struct keyd_server *server, uint64_t due)
{
    uint64_t before = server->worked;
    server->worked = clock_thread();
    uint64_t late = server->loop.now > due ? server->loop.now - due : 0;
    uint64_t worked = server->worked - before;
    if (late > worked + HEARTBEAT)
        forgive(server, late - worked);
}

/* Looks until all events are taken: epoll returns level-triggered events round robin when there are
 * more than fit. */
static void take_events(struct keyd_server *server, uint64_t until)
{
    size_t rounds = server->session_count / LOOP_EVENTS + 1;
    int count = loop_look(&server->loop, until);
    while (count == LOOP_EVENTS && --rounds > 0)
        count = loop_look(&server->loop, 0);
}

bool server_run(struct keyd_server *server)
{
    if (!rights_open_door(server))
        return false;
    watch_open(&server->wake, crew_wake(server->scheduler->crew), WATCH_LEVEL);
    if (!watch_want(&server->loop, &server->wake, EPOLLIN)) {
        log_error("event loop: %s", strerror(errno));
        return false;
    }
    while (!server->stop_now && (server->listener_count > 0 || server->session_count > 0)) {
        uint64_t due = next_time(server);
        take_events(server, due);
        forgive_standstill(server, due);
        intake_run(server);
        schedule(server);
        flush_all(server);
        loop_run_timers(&server->loop);
        loop_run_work(&server->loop);
    }
    return server->session_count == 0;
}

void server_destroy(struct keyd_server *server)
{
    list_for_each(node, &server->sessions) session_end(list_entry(node, struct session, node));
    loop_run_work(&server->loop);
    /* the crew frees the jobs of these sessions */
    for (struct list *node; (node = list_take(&server->leaving)) != NULL;)
        session_free(list_entry(node, struct session, node));
    listeners_close(server);
    signal_watch_close(&server->loop, &server->signals);
    loop_close(&server->loop);
    accounts_free(&server->clients);
    accounts_free(&server->strangers);
    in_flight_release(&server->in_flight);
    allow_free(&server->allow);
    allow_free(&server->door);
    tickets_close(&server->tickets);
    ecdhe_close(&server->ecdhe);
}
