#include "proxy/master/master.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/notify.h"
#include "daemon/own_process.h"
#include "proxy/config/descriptors.h"
#include "proxy/config/memory.h"
#include "proxy/master/generation.h"
#include "proxy/master/upgrade.h"

#define TICKETS_LIFE (3600 * NS_PER_S)
#define EVENTS_AT_ONCE 64

struct master {
    const char *file;
    char program[PATH_MAX]; /* this very one, by its path: an upgrade may put a new one there */
    struct generation_setup setup;
    struct notify notify;
    struct list listening; /* struct listening, of all generations */
    struct activation activation;
    struct heritage heritage;
    struct metrics_history history;
    struct upgrade upgrade; /* to the master after this one, or before it */
    int signals;
    bool ending; /* TERM has come, or the next master serves */
    int status;

    struct generation *current, *pending; /* NULL: none */
    struct list leaving;                  /* generations that drain */
};

/* ---- the process ---- */

static bool open_signals(struct master *master)
{
    sigset_t set;
    const int taken[] = {SIGHUP, SIGUSR2, SIGTERM, SIGINT, SIGQUIT, SIGCHLD};
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(&set, taken[i]);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return false;
    master->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return master->signals >= 0;
}

static void check_descriptor_limit(const struct config *config)
{
    uint64_t room = descriptors_connections(config->workers);
    if (config->max_connections > room)
        log_warning("max-connections = %u, but the limit of file descriptors (RLIMIT_NOFILE) has "
                    "room for %" PRIu64,
                    config->max_connections, room);
}

/* At start: later the memory that is available is less by the connections that there are. A number
 * that the operator has not asked for is no mistake of theirs. */
static void check_memory(const struct config *config)
{
    uint64_t allowed = memory_allowed();
    if (config->max_connections <= allowed / MEMORY_IDLE_CONNECTION)
        return;
    log_write(config->max_connections_given ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "max-connections = %u%s, but the memory that there is for it (%" PRIu64
              " MiB) has room for %" PRIu64 ", at %d KiB for an idle one",
              config->max_connections, config->max_connections_given ? "" : " (auto)",
              allowed >> 20, allowed / MEMORY_IDLE_CONNECTION, MEMORY_IDLE_CONNECTION / 1024);
}

static bool renew_tickets(struct master *master)
{
    struct ticket_key next;
    if (RAND_bytes((unsigned char *)&next, sizeof next) != 1)
        return false;
    master->heritage.tickets.previous = master->heritage.tickets.current;
    master->heritage.tickets.current = next;
    master->heritage.tickets_end = clock_now() + TICKETS_LIFE;
    OPENSSL_cleanse(&next, sizeof next);
    return true;
}

/* ---- generations ---- */

static void announce(const struct config *config)
{
    check_descriptor_limit(config);
    if (config->signing == SIGNING_IN_PROCESS)
        log_warning("signing = in-process: THE PRIVATE KEYS ARE IN THE WORKER'S MEMORY, "
                    "UNPROTECTED; meant for comparisons only");
    else if (config->signing == SIGNING_SYNC)
        log_warning("signing = sync: event loops wait for every signature; meant for comparisons "
                    "only");
}

static void leave(struct master *master, struct generation *generation)
{
    if (generation != NULL)
        list_append(&master->leaving, &generation->node);
}

static struct generation *load(struct master *master)
{
    struct conf_error error;
    struct config *config = config_load(master->file, &error);
    struct generation *generation = NULL;
    if (config != NULL) {
        if (master->current == NULL)
            log_setup("immure-proxy", (enum log_level)config->log_level, config->log_json);
        generation = generation_new(config, &master->setup, master->current, &error);
    }
    if (generation == NULL)
        log_error("%s%s", error.text,
                  master->current == NULL ? "" : "; the running configuration goes on");
    if (generation == NULL && master->current == NULL)
        master->status = EXIT_FAILURE;
    return generation;
}

static void discard_pending(struct master *master)
{
    if (master->pending == NULL)
        return;
    generation_discard(master->pending);
    leave(master, master->pending);
    master->pending = NULL;
}

static bool takes_over_from_another(const struct master *master)
{
    return master->upgrade.link >= 0 && master->upgrade.pid == 0;
}

/* A service manager hears only the main process, which the master before this one still is. */
static void say_ready(const struct master *master)
{
    if (master->current != NULL && !takes_over_from_another(master))
        notify_send(&master->notify, "READY=1\nSTATUS=Worker: pid %d, signing %s",
                    (int)master->current->worker.pid,
                    signing_mode_name(master->current->config->signing));
}

/* What exactly is wrong with it, its worker or its immured has logged. */
static void refuse_pending(struct master *master, const char *reason)
{
    if (master->current != NULL) {
        log_error("%s is not taken over: %s; the running configuration goes on", master->file,
                  reason);
        say_ready(master);
    } else {
        log_error("%s: cannot start: %s", master->file, reason);
        master->status = EXIT_FAILURE;
        master->ending = true;
    }
    discard_pending(master);
}

/* The oldest are in front. */
static void bound_leaving(struct master *master)
{
    unsigned count = 0, most = master->current->config->reload_workers;
    uint64_t now = clock_now();
    list_for_each(node, &master->leaving) count +=
        generation_has_time(list_entry(node, struct generation, node), now);
    list_for_each(node, &master->leaving)
    {
        struct generation *generation = list_entry(node, struct generation, node);
        if (count <= most)
            return;
        if (!generation_has_time(generation, now))
            continue;
        count--;
        log_warning(
            "more than %u old workers drain (reload-workers): the oldest (pid %d) ends, and "
            "with it the connections that it has",
            most, (int)generation->worker.pid);
        generation_drain(generation, now);
    }
}

static void take_over(struct master *master)
{
    struct conf_error error;
    struct generation *next = master->pending, *old = master->current;
    if (!generation_listen(next, &error)) {
        refuse_pending(master, error.text);
        return;
    }
    master->pending = NULL;
    master->current = next;
    log_setup("immure-proxy", (enum log_level)next->config->log_level, next->config->log_json);
    announce(next->config);
    if (old == NULL)
        check_memory(next->config);
    log_info("%s is in force: worker pid %d, signing %s", master->file, (int)next->worker.pid,
             signing_mode_name(next->config->signing));
    if (old == NULL && takes_over_from_another(master)) {
        listening_end_loan(&master->listening, true);
        upgrade_report(&master->upgrade);
    }
    say_ready(master);
    if (old != NULL) {
        uint64_t time = next->config->reload_drain_timeout;
        generation_drain(old, time > 0 ? clock_now() + time : UINT64_MAX);
        leave(master, old);
        bound_leaving(master);
    }
}

static void finish_test(struct master *master)
{
    printf("%s: configuration is good\n", master->file);
    generation_drain(master->pending, clock_now());
    leave(master, master->pending);
    master->pending = NULL;
    master->ending = true;
}

static void advance(struct master *master)
{
    struct generation *pending = master->pending;
    if (pending != NULL && pending->state == GENERATION_FAILED)
        refuse_pending(master, pending->failure);
    else if (pending != NULL && pending->state == GENERATION_RUNNING && master->setup.test)
        finish_test(master);
    else if (pending != NULL && pending->state == GENERATION_RUNNING)
        take_over(master);
    list_for_each(node, &master->leaving)
    {
        struct generation *generation = list_entry(node, struct generation, node);
        if (generation->state == GENERATION_ENDED)
            generation_free(generation);
    }
}

/* Open connections have their time, in old workers too; no others come. */
static void drain(struct master *master, const char *why)
{
    uint64_t time = master->current->config->drain_timeout, deadline = clock_now() + time;
    log_info("%s: open connections have %" PRIu64 " ms", why, time / NS_PER_MS);
    leave(master, master->current);
    master->current = NULL;
    list_for_each(node, &master->leaving)
    {
        struct generation *generation = list_entry(node, struct generation, node);
        if (generation->deadline > deadline)
            generation_drain(generation, deadline);
    }
}

/* ---- the next master ---- */

static bool watch_link(struct master *master)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &master->upgrade};
    return epoll_ctl(master->setup.epoll, EPOLL_CTL_ADD, master->upgrade.link, &event) == 0;
}

static void upgrade(struct master *master)
{
    if (master->ending || master->current == NULL)
        return;
    if (master->pending != NULL || master->upgrade.link >= 0) {
        log_warning("USR2 is not followed: a configuration or a master is coming up already");
        return;
    }
    if (getpid() == 1) {
        log_warning("USR2 is not followed: the end of process 1 is the end of its container");
        return;
    }
    log_info("USR2: starting %s", master->program);
    notify_reloading(&master->notify);
    if (!upgrade_start(&master->upgrade, master->program, master->file, &master->listening,
                       &master->activation, &master->heritage, &master->notify)) {
        log_error("the upgrade failed: %s; this master goes on", strerror(errno));
        say_ready(master);
    } else if (!watch_link(master)) {
        log_error("epoll_ctl: %s", strerror(errno));
        master->upgrade.deadline = 0; /* nobody would hear it */
    }
}

static void upgrade_failed(struct master *master, int status)
{
    char how[64];
    log_error("the upgrade failed: the new master (pid %d) %s; this one goes on",
              (int)master->upgrade.pid, child_describe(status, how, sizeof how));
    upgrade_finish(&master->upgrade);
    say_ready(master);
}

/* The new master serves: the sockets are its own now. */
static void give_way(struct master *master)
{
    notify_send(&master->notify, "READY=1\nMAINPID=%d", (int)master->upgrade.pid);
    upgrade_finish(&master->upgrade);
    if (master->ending)
        return;
    master->ending = true;
    listening_lend(&master->listening);
    discard_pending(master);
    drain(master, "the new master serves");
}

static void link_ready(struct master *master)
{
    bool serves = upgrade_heard(&master->upgrade);
    if (serves && master->upgrade.pid != 0)
        give_way(master);
    else if (master->upgrade.link < 0 && master->upgrade.pid == 0)
        say_ready(master);
}

static void upgrade_tick(struct master *master, uint64_t now)
{
    if (now < master->upgrade.deadline)
        return;
    log_warning("the new master (pid %d) does not come up; it is killed", (int)master->upgrade.pid);
    kill(master->upgrade.pid, SIGKILL);
    master->upgrade.deadline = UINT64_MAX;
}

/* ---- signals ---- */

static void reload(struct master *master)
{
    if (master->ending)
        return;
    if (master->upgrade.pid != 0) {
        log_warning("HUP is not followed: a new master is coming up");
        return;
    }
    log_info("HUP: reading %s", master->file);
    notify_reloading(&master->notify);
    discard_pending(master);
    master->pending = load(master);
    if (master->pending == NULL)
        say_ready(master);
}

static void discard_all(struct master *master)
{
    log_warning("a second signal: ending at once");
    list_for_each(node, &master->leaving)
    {
        struct generation *generation = list_entry(node, struct generation, node);
        generation_discard(generation);
    }
}

static void end(struct master *master)
{
    if (master->ending) {
        discard_all(master);
        return;
    }
    master->ending = true;
    notify_send(&master->notify, "STOPPING=1");
    discard_pending(master);
    if (master->upgrade.pid != 0)
        kill(master->upgrade.pid, SIGTERM);
    if (master->current != NULL)
        drain(master, "ending");
}

static void reap(struct master *master)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == master->upgrade.pid) {
            upgrade_failed(master, status);
            continue;
        }
        bool known =
            (master->current != NULL && generation_process_ended(master->current, pid, status)) ||
            (master->pending != NULL && generation_process_ended(master->pending, pid, status));
        list_for_each(node, &master->leaving)
        {
            if (known)
                break;
            known =
                generation_process_ended(list_entry(node, struct generation, node), pid, status);
        }
    }
}

static void take_signals(struct master *master)
{
    struct signalfd_siginfo info;
    while (read(master->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(master);
        else if (info.ssi_signo == SIGHUP)
            reload(master);
        else if (info.ssi_signo == SIGUSR2)
            upgrade(master);
        else
            end(master);
    }
}

/* ---- the loop ---- */

/* Calls back for each generation there is; the call may end it, but not free it. */
static void for_each_generation(struct master *master,
                                void (*visit)(struct generation *generation, void *arg), void *arg)
{
    if (master->current != NULL)
        visit(master->current, arg);
    if (master->pending != NULL)
        visit(master->pending, arg);
    list_for_each(node, &master->leaving) visit(list_entry(node, struct generation, node), arg);
}

static void tick(struct generation *generation, void *arg)
{
    generation_tick(generation, *(uint64_t *)arg);
}

static void find_deadline(struct generation *generation, void *arg)
{
    uint64_t *deadline = arg, next = generation_next_deadline(generation);
    *deadline = next < *deadline ? next : *deadline;
}

static void send_tickets(struct generation *generation, void *arg)
{
    (void)arg;
    generation_send_tickets(generation);
}

static void wait_for_events(struct master *master)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t deadline = master->heritage.tickets_end;
    if (master->upgrade.deadline < deadline)
        deadline = master->upgrade.deadline;
    for_each_generation(master, find_deadline, &deadline);
    int count = epoll_wait(master->setup.epoll, events, EVENTS_AT_ONCE,
                           clock_poll_timeout(deadline, clock_now()));
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr == NULL)
            take_signals(master);
        else if (events[i].data.ptr == &master->upgrade)
            link_ready(master);
        else
            generation_control_ready(events[i].data.ptr);
}

static bool has_work(const struct master *master)
{
    return master->current != NULL || master->pending != NULL || master->upgrade.pid != 0 ||
           !list_empty(&master->leaving);
}

static void run(struct master *master)
{
    while (has_work(master)) {
        wait_for_events(master);
        uint64_t now = clock_now();
        if (now >= master->heritage.tickets_end) {
            if (!renew_tickets(master))
                master->heritage.tickets_end = now + NS_PER_S;
            for_each_generation(master, send_tickets, NULL);
        }
        for_each_generation(master, tick, &now);
        upgrade_tick(master, now);
        advance(master);
    }
}

static bool inherit(struct master *master)
{
    return upgrade_take(&master->upgrade, &master->listening, &master->activation,
                        &master->heritage) &&
           watch_link(master);
}

static bool set_up(struct master *master)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    list_init(&master->listening);
    list_init(&master->leaving);
    metrics_history_init(&master->history);
    master->setup.epoll = epoll_create1(EPOLL_CLOEXEC);
    return master->setup.epoll >= 0 && own_process_find_program(master->program) &&
           open_signals(master) &&
           epoll_ctl(master->setup.epoll, EPOLL_CTL_ADD, master->signals, &event) == 0 &&
           (takes_over_from_another(master) ? inherit(master) : renew_tickets(master));
}

int master_run(const char *file, bool test, int link)
{
    struct master master = {
        .file = file, .signals = -1, .upgrade = UPGRADE_INIT, .setup = {.epoll = -1, .test = test}};
    char reason[128];
    master.upgrade.link = link;
    master.setup.listening = (struct listening_setup){
        .all = &master.listening, .activation = &master.activation, .bind = !test};
    master.setup.tickets = &master.heritage.tickets;
    master.setup.history = &master.history;
    master.setup.started = clock_wall() / NS_PER_S;
    if (!test)
        log_never_wait();
    own_process_hide_memory(); /* it has the keys of session tickets */
    descriptor_raise_limit();
    notify_open(&master.notify);
    if (!activation_take(&master.activation, reason, sizeof reason)) {
        log_error("cannot start: %s", reason);
        return EXIT_FAILURE;
    }
    if (!set_up(&master)) {
        log_error("cannot start: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    master.pending = load(&master);
    run(&master);
    listening_end_loan(&master.listening, false);
    activation_close(&master.activation);
    upgrade_finish(&master.upgrade);
    descriptor_close(&master.signals);
    descriptor_close(&master.setup.epoll);
    metrics_sum_release(&master.history.past);
    OPENSSL_cleanse(&master.heritage, sizeof master.heritage);
    return master.status;
}
