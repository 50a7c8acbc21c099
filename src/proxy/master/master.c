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
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/notify.h"
#include "daemon/own_process.h"
#include "loop/signal_watch.h"
#include "proxy/config/descriptors.h"
#include "proxy/config/load.h"
#include "proxy/config/memory.h"
#include "proxy/master/command_socket.h"
#include "proxy/master/controls.h"
#include "proxy/master/generation.h"
#include "proxy/master/refresh.h"
#include "proxy/master/refresh_obstacle.h"
#include "proxy/master/settings.h"
#include "proxy/master/sockets.h"
#include "proxy/master/upgrade.h"

#define TICKETS_LIFE (3600 * NS_PER_S)

struct master {
    const char *file;
    char program[PATH_MAX]; /* the path of this one, where an upgrade may put a new one */
    struct generation_setup setup;
    struct notify notify;
    struct list listening; /* struct listening, of all generations */
    struct activation activation;
    struct heritage heritage;
    int settings; /* what the operator had set at the master before; -1: nothing */
    struct metrics_history history;
    struct upgrade upgrade; /* to the master after this one, or before it */
    struct loop loop;
    struct signal_watch signals;
    struct command_socket commands;
    struct watch link;           /* of the upgrade */
    struct timer upgrade_limit;  /* at upgrade.deadline */
    struct timer ticket_renewal; /* at heritage.tickets_end */
    bool ending;                 /* TERM has come, or the next master serves */
    int status;

    struct generation *current, *pending; /* NULL: none */
    struct list leaving;                  /* generations that drain */
};

/* ---- the process ---- */

static void check_descriptor_limit(const struct proxy_config *config)
{
    uint64_t room = descriptors_connections(config->workers);
    if (config->max_connections > room)
        log_warning("max-connections = %u, but the limit of file descriptors (RLIMIT_NOFILE) has "
                    "room for %" PRIu64,
                    config->max_connections, room);
}

/* Only at the start: later the connections have taken some of the available memory. A number that
 * the operator has not set is not their mistake, so it is no warning. */
static void check_memory(const struct proxy_config *config)
{
    uint64_t allowed = memory_allowed();
    if (config->max_connections <= allowed / MEMORY_IDLE_CONNECTION)
        return;
    log_write(config->max_connections_given ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "max-connections = %u%s, but the available memory (%" PRIu64
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

static void announce(const struct proxy_config *config)
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
    struct proxy_config *config = config_load(master->file, &error);
    struct generation *generation = NULL;
    if (config != NULL) {
        if (master->current == NULL)
            log_setup("immure-proxy", (enum log_level)config->log_level, config->log_json);
        generation = generation_new(config, &master->setup, master->current, &error);
        /* Before its worker is started, which waits for the certificates. */
        if (generation != NULL && master->current == NULL &&
            !settings_from_memory(generation, master->settings))
            log_error("what the operator had set for servers is lost: %s", strerror(errno));
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

/* The service manager listens only to the main process, which is the previous master until then. */
static void say_ready(const struct master *master)
{
    if (master->current != NULL && !takes_over_from_another(master))
        notify_send(&master->notify, "READY=1\nSTATUS=Worker: pid %d, signing %s",
                    (int)master->current->worker.pid,
                    signing_mode_name(master->current->config->signing));
}

/* The worker or immured has logged what exactly is wrong. */
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
    bool replaces = old == NULL && takes_over_from_another(master);
    if (!command_socket_open(&master->commands, next->config->control_socket, replaces, &error) ||
        !sockets_listen(next, &error)) {
        command_socket_drop(&master->commands);
        refuse_pending(master, error.text);
        return;
    }
    command_socket_forget(&master->commands);
    command_socket_switch(&master->commands);
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

static void load_again(struct master *master)
{
    discard_pending(master);
    master->pending = load(master);
    if (master->pending == NULL)
        say_ready(master);
}

/* Another refresh may be under way already. */
static void advance_refresh(struct master *master)
{
    enum refresh_outcome outcome =
        master->current != NULL ? refresh_outcome(master->current) : REFRESH_NO_OUTCOME;
    if (outcome == REFRESH_FAILED)
        log_error("the certificates are not taken over: %s; those in force go on",
                  master->current->refresh.failure);
    if (outcome == REFRESH_DONE)
        log_info("%s is in force: worker pid %d goes on", master->file,
                 (int)master->current->worker.pid);
    if (outcome == REFRESH_TOO_MUCH && master->pending == NULL && !master->ending)
        load_again(master);
    else if (outcome != REFRESH_NO_OUTCOME && master->pending == NULL)
        say_ready(master);
}

static void advance(struct master *master)
{
    advance_refresh(master);
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

/* Open connections may go on for a time, in old workers too; no new ones are accepted. */
static void drain(struct master *master, const char *why)
{
    uint64_t time = master->current->config->drain_timeout, deadline = clock_now() + time;
    log_info("%s: open connections have %" PRIu64 " ms", why, time / NS_PER_MS);
    command_socket_close(&master->commands);
    command_socket_forget(&master->commands);
    leave(master, master->current);
    master->current = NULL;
    list_for_each(node, &master->leaving)
    {
        struct generation *generation = list_entry(node, struct generation, node);
        if (generation_deadline(generation) > deadline)
            generation_drain(generation, deadline);
    }
}

/* ---- the next master ---- */

static bool watch_link(struct master *master)
{
    watch_open(&master->link, master->upgrade.link, WATCH_LEVEL);
    return watch_want(&master->loop, &master->link, EPOLLIN);
}

static void forget_upgrade(struct master *master)
{
    watch_release(&master->loop, &master->link);
    timer_stop(&master->loop, &master->upgrade_limit);
    upgrade_finish(&master->upgrade);
}

static bool start_next(struct master *master)
{
    bool good;
    int settings = settings_to_memory(master->current, &good);
    good =
        good && upgrade_start(&master->upgrade, master->program, master->file, &master->listening,
                              &master->activation, &master->heritage, settings, &master->notify);
    int reason = errno;
    descriptor_close(&settings);
    errno = reason;
    return good;
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
    if (!start_next(master)) {
        log_error("the upgrade failed: %s; this master goes on", strerror(errno));
        say_ready(master);
        return;
    }
    if (!watch_link(master))
        master->upgrade.deadline = 0; /* nobody would hear it */
    timer_start_at(&master->loop, &master->upgrade_limit, master->upgrade.deadline);
}

static void upgrade_failed(struct master *master, int status)
{
    char how[64];
    log_error("the upgrade failed: the new master (pid %d) %s; this one goes on",
              (int)master->upgrade.pid, child_describe(status, how, sizeof how));
    forget_upgrade(master);
    command_socket_restore(&master->commands);
    say_ready(master);
}

/* The new master serves, and the sockets belong to it now. */
static void give_way(struct master *master)
{
    notify_send(&master->notify, "READY=1\nMAINPID=%d", (int)master->upgrade.pid);
    forget_upgrade(master);
    if (master->ending)
        return;
    master->ending = true;
    listening_lend(&master->listening);
    discard_pending(master);
    drain(master, "the new master serves");
}

static void link_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct master *master = list_entry(watch, struct master, link);
    watch_release(&master->loop, watch); /* at its end it is closed */
    bool serves = upgrade_heard(&master->upgrade);
    if (serves && master->upgrade.pid != 0)
        give_way(master);
    else if (master->upgrade.link < 0 && master->upgrade.pid == 0)
        say_ready(master);
    else if (master->upgrade.link >= 0)
        watch_link(master);
}

static void upgrade_late(struct timer *timer)
{
    struct master *master = list_entry(timer, struct master, upgrade_limit);
    log_warning("the new master (pid %d) does not come up; it is killed", (int)master->upgrade.pid);
    kill(master->upgrade.pid, SIGKILL);
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
    notify_reloading(&master->notify);
    command_socket_restore(&master->commands);
    if (master->pending == NULL && master->current != NULL && refresh_is_enough(master->current)) {
        log_info("HUP: %s has not changed; reading its certificates", master->file);
        refresh_begin(master->current);
        return;
    }
    log_info("HUP: reading %s", master->file);
    load_again(master);
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

static void take_signal(struct signal_watch *signals, int number)
{
    struct master *master = list_entry(signals, struct master, signals);
    if (number == SIGCHLD)
        reap(master);
    else if (number == SIGHUP)
        reload(master);
    else if (number == SIGUSR2)
        upgrade(master);
    else
        end(master);
}

static bool open_signals(struct master *master)
{
    sigset_t set;
    const int taken[] = {SIGHUP, SIGUSR2, SIGTERM, SIGINT, SIGQUIT, SIGCHLD};
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(&set, taken[i]);
    signal(SIGPIPE, SIG_IGN);
    return signal_watch_open(&master->loop, &master->signals, &set);
}

/* ---- the loop ---- */

static void renew_and_send_tickets(struct timer *timer)
{
    struct master *master = list_entry(timer, struct master, ticket_renewal);
    if (!renew_tickets(master))
        master->heritage.tickets_end = clock_now() + NS_PER_S;
    timer_start_at(&master->loop, timer, master->heritage.tickets_end);
    if (master->current != NULL)
        controls_send_tickets(master->current);
    if (master->pending != NULL)
        controls_send_tickets(master->pending);
    list_for_each(node, &master->leaving)
        controls_send_tickets(list_entry(node, struct generation, node));
}

static bool has_work(const struct master *master)
{
    return master->current != NULL || master->pending != NULL || master->upgrade.pid != 0 ||
           !list_empty(&master->leaving);
}

static void run(struct master *master)
{
    timer_start_at(&master->loop, &master->ticket_renewal, master->heritage.tickets_end);
    while (has_work(master)) {
        loop_look(&master->loop, loop_deadline(&master->loop));
        loop_run_timers(&master->loop);
        advance(master); /* frees generations, which no event of this turn names any more */
        command_socket_sweep(&master->commands);
    }
}

/* What a client of the control socket may ask about. */
static void look(struct command_socket *commands, struct command_view *view)
{
    const struct master *master = list_entry(commands, struct master, commands);
    *view = (struct command_view){.generation = master->current,
                                  .pending = master->pending,
                                  .leaving = &master->leaving,
                                  .upgrades = master->upgrade.pid != 0,
                                  .busy = master->ending ? "this immure-proxy is ending"
                                          : master->pending != NULL
                                              ? "another configuration is coming up"
                                          : master->upgrade.pid != 0 ? "another master is coming up"
                                                                     : NULL};
}

static bool inherit(struct master *master)
{
    return upgrade_take(&master->upgrade, &master->listening, &master->activation,
                        &master->heritage, &master->settings) &&
           watch_link(master);
}

static bool set_up(struct master *master)
{
    list_init(&master->listening);
    list_init(&master->leaving);
    metrics_history_init(&master->history);
    signal_watch_init(&master->signals, take_signal);
    command_socket_init(&master->commands, &master->loop, look);
    watch_init(&master->link, link_ready);
    timer_init(&master->upgrade_limit, upgrade_late);
    timer_init(&master->ticket_renewal, renew_and_send_tickets);
    return loop_open(&master->loop) && own_process_find_program(master->program) &&
           open_signals(master) &&
           (takes_over_from_another(master) ? inherit(master) : renew_tickets(master));
}

int master_run(const char *file, bool test, int link)
{
    struct master master = {.file = file,
                            .upgrade = UPGRADE_INIT,
                            .settings = -1,
                            .setup = {.loop = &master.loop, .test = test}};
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
    command_socket_end(&master.commands);
    listening_end_loan(&master.listening, false);
    activation_close(&master.activation);
    descriptor_close(&master.settings);
    forget_upgrade(&master);
    signal_watch_close(&master.loop, &master.signals);
    loop_close(&master.loop);
    metrics_sum_release(&master.history.past);
    OPENSSL_cleanse(&master.heritage, sizeof master.heritage);
    return master.status;
}
