#include "proxy/worker/core/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/slice.h"
#include "handshake/fast_handshake.h"
#include "proxy/admin/admin.h"
#include "proxy/worker/core/certificate_infos.h"
#include "proxy/worker/core/confine.h"
#include "proxy/worker/core/keyd_watch.h"
#include "proxy/worker/core/thread.h"

#define FIGURES_PAUSE_MS 1000
#define LOOP_SLICE (100 * NS_PER_US)

struct worker {
    const struct worker_setup *setup;
    struct connection_limit limit; /* shared by all threads */
    struct source_limits *limits;  /* the same; NULL: there are none */
    /* The certificates in force, and those before; NULL: none. */
    struct shared_store *store, *before;
    int offered; /* a descriptor of the next ones; -1: none */
    struct authorities *authorities;
    struct tls_setup tls;           /* shared by all threads */
    struct shared_servers *servers; /* the same */
    struct thread **threads;
    unsigned thread_count;
    bool draining;
    struct keyd_watch keyd;
    bool watching;               /* `keyd` is open */
    struct keyless_keys keyless; /* what the master has been told */
    struct report walls;
    pthread_barrier_t gate; /* passed when all threads have begun, and when the walls stand */
    struct admin *admin;
    struct certificate_infos infos; /* for the admin page */
};

static int main_control(const struct worker *worker)
{
    return worker->setup->controls[worker->setup->config->workers];
}

static void close_store(struct shared_store *shared)
{
    if (shared == NULL)
        return;
    store_close(shared->store);
    free(shared->keyless);
    free(shared);
}

/* Takes the descriptor over: the mapping stays. NULL: *error says why. */
static struct shared_store *open_store(int descriptor, struct conf_error *error)
{
    struct shared_store *shared = calloc(1, sizeof *shared);
    snprintf(error->text, sizeof error->text, "the store of certificates: out of memory");
    if (shared != NULL)
        shared->store = store_open(descriptor, error);
    (void)close(descriptor);
    if (shared != NULL && shared->store != NULL) {
        size_t count = store_certificate_count(shared->store);
        shared->keyless = calloc(count + 1, sizeof *shared->keyless);
    }
    if (shared != NULL && shared->keyless != NULL)
        return shared;
    close_store(shared);
    return NULL;
}

static bool open_limits(struct worker *worker)
{
    const struct proxy_config *config = worker->setup->config;
    if (config->connections_by_source == 0 && config->connection_rate_by_source == 0)
        return true;
    worker->limits =
        source_limits_new(config->connections_by_source, config->connection_rate_by_source);
    return worker->limits != NULL;
}

static bool load_threads(struct worker *worker, struct conf_error *error)
{
    const struct worker_setup *setup = worker->setup;
    unsigned count = setup->config->workers;
    worker->store = open_store(setup->store, error);
    if (worker->store == NULL)
        return false;
    worker->threads = calloc(count, sizeof(struct thread *));
    worker->servers = shared_servers_new(setup->config);
    worker->tls = (struct tls_setup){.config = setup->config,
                                     .store = worker->store,
                                     .authorities = worker->authorities,
                                     .tickets = &setup->tickets,
                                     .again = setup->again};
    if (setup->config->session_cache > 0)
        worker->tls.sessions = session_cache_new(setup->config->session_cache);
    if (!open_limits(worker) || worker->threads == NULL || worker->servers == NULL ||
        (worker->tls.sessions == NULL && setup->config->session_cache > 0))
        return false;
    while (worker->thread_count < count) {
        unsigned number = worker->thread_count;
        struct thread_setup thread_setup = {.limit = &worker->limit,
                                            .source_limits = worker->limits,
                                            .config = setup->config,
                                            .tls = &worker->tls,
                                            .servers = worker->servers,
                                            .listeners = setup->listeners[number],
                                            .control = setup->controls[number],
                                            .metrics =
                                                generation_metrics_thread(setup->metrics, number),
                                            .number = number};
        worker->threads[number] = thread_new(&thread_setup, error);
        if (worker->threads[number] == NULL)
            return false;
        worker->thread_count++;
    }
    return true;
}

static void note_command(void *owner, const struct control_message *message, int descriptor)
{
    struct worker *worker = owner;
    if (message == NULL || message->type == CONTROL_DRAIN)
        worker->draining = true;
    if (message != NULL && message->type == CONTROL_STORE) {
        descriptor_close(&worker->offered);
        worker->offered = descriptor;
        descriptor = -1;
    }
    descriptor_close(&descriptor);
}

static void tell_keyless(struct worker *worker)
{
    struct control_message message = {.type = CONTROL_KEYLESS};
    keyd_watch_lacks(&worker->keyd, &message.keyless);
    if (memcmp(&message.keyless, &worker->keyless, sizeof worker->keyless) != 0 &&
        control_send(main_control(worker), &message, -1))
        worker->keyless = message.keyless;
}

static bool check_keys(struct worker *worker, struct conf_error *error)
{
    const struct proxy_config *config = worker->setup->config;
    if (!config_needs_keyd(config))
        return true;
    worker->watching =
        keyd_watch_open(&worker->keyd, worker->store, main_control(worker), worker, note_command);
    if (!worker->watching ||
        !keyd_watch_check(&worker->keyd, config->file, worker->setup->again, error))
        return false;
    tell_keyless(worker);
    return true;
}

static void take_tickets(struct worker *worker)
{
    struct ticket_keys keys;
    uint64_t at;
    if (!worker->watching || !keyd_watch_tickets(&worker->keyd, &keys, &at))
        return;
    for (unsigned i = 0; i < worker->thread_count; i++) {
        thread_take_tickets(worker->threads[i], &keys, at);
    }
    OPENSSL_cleanse(&keys, sizeof keys);
}

static const struct keyd_watch *watch_of(const struct worker *worker)
{
    return worker->watching ? &worker->keyd : NULL;
}

static bool prepare_admin(struct worker *worker)
{
    const struct worker_setup *setup = worker->setup;
    if (setup->admin_listener < 0)
        return true;
    if (!certificate_infos_make(&worker->infos, setup->config, worker->store->store,
                                watch_of(worker)))
        return false;
    struct admin_setup admin = {.config = setup->config,
                                .listener = setup->admin_listener,
                                .history = setup->history,
                                .metrics = setup->metrics,
                                .certificates = worker->infos.of,
                                .certificate_count = worker->infos.count,
                                .certificates_failed = store_failed(worker->store->store),
                                .servers = worker->servers,
                                .keyd = worker->watching ? &worker->keyd.figures : NULL,
                                .started = setup->started};
    worker->admin = admin_new(&admin);
    return worker->admin != NULL;
}

/* ---- life ---- */

/* Called before privileges are dropped; the threads inherit the policy. */
static void take_real_time(void)
{
    const struct sched_param least = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_RR, &least) != 0)
        log_warning("priority = real-time: %s; the event loops run with priority = normal",
                    strerror(errno));
}

/* The work of this thread and of the admin thread can wait. */
static void give_back_real_time(void)
{
    if (sched_getscheduler(0) == SCHED_RR)
        sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    /* With a short slice of its own, a loop does not wait for the end of a signer's slice. */
    if (sched_getscheduler(0) == SCHED_OTHER)
        slice_set(LOOP_SLICE);
    pthread_barrier_wait(thread->gate); /* all threads have begun */
    pthread_barrier_wait(thread->gate);
    thread_run(thread);
    return NULL;
}

static bool start_threads(struct worker *worker)
{
    pthread_barrier_init(&worker->gate, NULL, worker->thread_count + 1);
    for (unsigned i = 0; i < worker->thread_count; i++) {
        worker->threads[i]->gate = &worker->gate;
        if (pthread_create(&worker->threads[i]->handle, NULL, thread_main, worker->threads[i]) != 0)
            return false;
    }
    give_back_real_time();
    generation_metrics_shown(worker->setup->metrics, worker->admin != NULL);
    if (worker->admin != NULL && !admin_start(worker->admin))
        return false;
    pthread_barrier_wait(&worker->gate);
    if (!confine_calls(&worker->walls))
        return false;
    pthread_barrier_wait(&worker->gate);
    return true;
}

static void take_command(struct worker *worker)
{
    struct control_message message;
    int descriptor = -1;
    int got = control_receive(main_control(worker), &message, &descriptor);
    if (got >= 0)
        note_command(worker, got > 0 ? &message : NULL, descriptor);
}

/* ---- other certificates at run time ---- */

static void report_store(const struct worker *worker, enum control_type result)
{
    const struct control_message message = {.type = result};
    if (!control_send(main_control(worker), &message, -1))
        log_error("cannot tell the master about the certificates: %s", strerror(errno));
}

/* Before threads use the store, so that none of them asks for a signature with a missing key. */
static void look_for_keys(struct worker *worker)
{
    if (!worker->watching)
        return;
    keyd_watch_use(&worker->keyd, worker->store);
    keyd_watch_look(&worker->keyd);
    tell_keyless(worker);
}

static void show_store(struct worker *worker)
{
    struct certificate_infos infos = {.of = NULL};
    const struct store *store = worker->store->store;
    if (worker->admin == NULL)
        return;
    if (!certificate_infos_make(&infos, worker->setup->config, store, watch_of(worker)))
        log_error("admin: certificates: out of memory");
    admin_set_certificates(worker->admin, infos.of, infos.count, store_failed(store));
    certificate_infos_free(&worker->infos);
    worker->infos = infos;
}

/* Threads may use the store from the moment at which the master hears of it. */
static void take_store(struct worker *worker)
{
    struct conf_error error;
    struct shared_store *next = open_store(worker->offered, &error);
    worker->offered = -1;
    if (next == NULL) {
        log_error("%s; those in force go on", error.text);
        report_store(worker, CONTROL_STORE_FAILED);
        return;
    }
    worker->before = worker->store;
    worker->store = next;
    look_for_keys(worker);
    atomic_store(&worker->tls.store, next);
    report_store(worker, CONTROL_STORE_TAKEN);
    show_store(worker);
}

static void close_store_before(struct worker *worker)
{
    if (worker->before == NULL || atomic_load(&worker->before->threads) > 0)
        return;
    close_store(worker->before);
    worker->before = NULL;
}

/* Asks immured for its figures and, if it has been replaced, for the keys that it holds. */
static void watch_keyd(struct worker *worker)
{
    if (!keyd_watch_ask(&worker->keyd) || !keyd_watch_look(&worker->keyd))
        return;
    certificate_infos_note_keys(&worker->infos, &worker->keyd);
    tell_keyless(worker);
}

/* The master tells each thread of a drain itself. The admin page ends when the drain begins, and
 * the next worker's takes over. */
static void wait_for_drain(struct worker *worker)
{
    struct pollfd master = {.fd = main_control(worker), .events = POLLIN};
    while (!worker->draining) {
        int ready = poll(&master, 1, worker->watching ? FIGURES_PAUSE_MS : -1);
        if (ready > 0)
            take_command(worker);
        else if (ready == 0)
            watch_keyd(worker);
        close_store_before(worker);
        if (worker->offered >= 0 && worker->before == NULL)
            take_store(worker);
    }
    if (worker->admin != NULL)
        admin_stop(worker->admin);
    generation_metrics_shown(worker->setup->metrics, false);
    if (worker->setup->admin_listener >= 0)
        close(worker->setup->admin_listener); /* so that another process can take the address */
    for (unsigned i = 0; i < worker->thread_count; i++)
        pthread_join(worker->threads[i]->handle, NULL);
}

static void unload(struct worker *worker)
{
    certificate_infos_free(&worker->infos);
    if (worker->watching)
        keyd_watch_close(&worker->keyd);
    for (unsigned i = 0; i < worker->thread_count; i++)
        thread_free(worker->threads[i]);
    free(worker->threads);
    source_limits_free(worker->limits);
    shared_servers_free(worker->servers);
    authorities_close(worker->authorities);
    session_cache_free(worker->tls.sessions);
    close_store(worker->before);
    close_store(worker->store);
    descriptor_close(&worker->offered);
}

/* All threads have the same; the first stands for all. */
static void tell_fast_handshake(const struct worker *worker)
{
    const struct fast_handshake *fast = worker->threads[0]->tls->fast;
    char text[256] = "off";
    if (fast != NULL)
        fast_handshake_describe(fast, text, sizeof text);
    log_info("fast-handshake: %s", text);
}

/* Only the master controls a worker; a signal to the process group is meant for the master. */
static void ignore_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_IGN);
}

static bool prepare(struct worker *worker, struct conf_error *error)
{
    const struct proxy_config *config = worker->setup->config;
    char reason[256];
    snprintf(error->text, sizeof error->text, "%s: out of memory", config->file);
    worker->authorities = authorities_open(config, error);
    if (worker->authorities == NULL || !load_threads(worker, error))
        return false;
    tell_fast_handshake(worker);
    if (config->real_time)
        take_real_time();
    if (geteuid() == 0 && !privilege_drop(config->user, reason, sizeof reason)) {
        snprintf(error->text, sizeof error->text, "%s: user: %s", config->file, reason);
        return false;
    }
    if (!check_keys(worker, error))
        return false;
    take_tickets(worker);
    return true;
}

/* The admin page opens its files before the walls go up. */
static bool confine(struct worker *worker)
{
    return prepare_admin(worker) && confine_process(worker->setup->config, &worker->walls);
}

int worker_run(const struct worker_setup *setup)
{
    struct worker worker = {
        .setup = setup, .offered = -1, .limit = {.most = setup->config->max_connections}};
    struct conf_error error;
    int status = 1;
    ignore_signals();
    if (!prepare(&worker, &error)) {
        log_error("%s", error.text);
    } else if (!confine(&worker) || !start_threads(&worker)) {
        log_error("%s: out of memory or threads, or a wall could not be raised",
                  setup->config->file);
        _exit(1); /* some threads may run */
    } else {
        report_log(&worker.walls);
        struct control_message ready = {.type = CONTROL_READY};
        control_send(main_control(&worker), &ready, -1);
        wait_for_drain(&worker);
        status = 0;
    }
    unload(&worker);
    return status;
}
