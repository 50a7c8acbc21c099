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
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/privilege.h"
#include "base/slice.h"
#include "handshake/fast_handshake.h"
#include "proxy/admin/admin.h"
#include "proxy/store/problem.h"
#include "proxy/worker/core/confine.h"
#include "proxy/worker/core/keyd_watch.h"
#include "proxy/worker/core/thread.h"

#define NAMES_TEXT_MAX 256
#define FIGURES_PAUSE_MS 1000
#define LOOP_SLICE (100 * NS_PER_US)

struct worker {
    const struct worker_setup *setup;
    struct connection_limit limit; /* shared by all threads */
    struct store *store;
    atomic_bool *keyless; /* for each certificate */
    struct tls_setup tls; /* shared by all threads */
    struct thread **threads;
    unsigned thread_count;
    bool draining;
    struct keyd_watch keyd;
    bool watching; /* `keyd` is open */
    struct report walls;
    pthread_barrier_t gate; /* passed when all threads have begun, and when the walls stand */
    struct admin *admin;
    struct certificate_info *certificates;
    size_t certificate_count;
};

static int main_control(const struct worker *worker)
{
    return worker->setup->controls[worker->setup->config->workers];
}

static bool load_threads(struct worker *worker, struct conf_error *error)
{
    const struct worker_setup *setup = worker->setup;
    unsigned count = setup->config->workers;
    worker->store = store_open(setup->store, error);
    (void)close(setup->store); /* the mapping stays, and no descriptor is left to the worker */
    if (worker->store == NULL)
        return false;
    worker->threads = calloc(count, sizeof(struct thread *));
    worker->keyless = calloc(store_certificate_count(worker->store) + 1, sizeof *worker->keyless);
    worker->tls = (struct tls_setup){.config = setup->config,
                                     .store = worker->store,
                                     .keyless = worker->keyless,
                                     .tickets = &setup->tickets,
                                     .again = setup->again};
    if (setup->config->session_cache > 0)
        worker->tls.sessions = session_cache_new(setup->config->session_cache);
    if (worker->threads == NULL || worker->keyless == NULL ||
        (worker->tls.sessions == NULL && setup->config->session_cache > 0))
        return false;
    while (worker->thread_count < count) {
        unsigned number = worker->thread_count;
        struct thread_setup thread_setup = {.limit = &worker->limit,
                                            .config = setup->config,
                                            .tls = &worker->tls,
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

static void note_drain(void *owner, const struct control_message *message)
{
    struct worker *worker = owner;
    if (message == NULL || message->type == CONTROL_DRAIN)
        worker->draining = true;
}

static bool check_keys(struct worker *worker, struct conf_error *error)
{
    const struct proxy_config *config = worker->setup->config;
    if (!config_needs_keyd(config))
        return true;
    worker->watching = keyd_watch_open(&worker->keyd, worker->store, worker->keyless,
                                       main_control(worker), worker, note_drain);
    return worker->watching &&
           keyd_watch_check(&worker->keyd, config->file, worker->setup->again, error);
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

/* ---- what the admin page says about the certificates ---- */

/* DNS names, then addresses as "ip:192.0.2.1". */
static char *join_names(const struct store *store, const struct store_certificate *certificate)
{
    char text[NAMES_TEXT_MAX] = "";
    const char *name = store_text(store, certificate->names);
    size_t length = 0;
    for (uint32_t i = 0; i < certificate->name_count && length + 1 < sizeof text; i++) {
        int more = snprintf(text + length, sizeof text - length, "%s%s", i > 0 ? ", " : "", name);
        length += more > 0 ? (size_t)more : 0;
        name += strlen(name) + 1;
    }
    return strdup(text);
}

static void note_key(struct worker *worker, uint32_t number)
{
    const unsigned no_key = 1u << CHAIN_NO_KEY;
    struct certificate_info *info = &worker->certificates[number];
    unsigned others = atomic_load_explicit(&info->problems, memory_order_relaxed) & ~no_key;
    atomic_store_explicit(&info->problems, others | (worker->keyless[number] ? no_key : 0),
                          memory_order_relaxed);
}

static bool describe(struct worker *worker, uint32_t number)
{
    const struct store *store = worker->store;
    const struct store_certificate *certificate = store_certificate(store, number);
    struct certificate_info *info = &worker->certificates[number];
    *info = (struct certificate_info){
        .frontend = worker->setup->config->frontends[certificate->frontend].name,
        .names = join_names(store, certificate),
        .key_type = store_text(store, certificate->key_type),
        .file = store_text(store, certificate->files[STORE_CHAIN_FILE].path),
        .not_after = certificate->not_after > 0 ? (uint64_t)certificate->not_after : 0,
        .problems = store_problems(certificate, time(NULL))};
    note_key(worker, number);
    hex_encode(certificate->key_id, IMMURE_KEY_ID_SIZE, info->key_id);
    return info->names != NULL;
}

static bool describe_all(struct worker *worker)
{
    size_t count = store_certificate_count(worker->store);
    worker->certificates = calloc(count + 1, sizeof *worker->certificates);
    while (worker->certificates != NULL && worker->certificate_count < count)
        if (!describe(worker, (uint32_t)worker->certificate_count++))
            return false;
    return worker->certificates != NULL;
}

static bool prepare_admin(struct worker *worker)
{
    const struct worker_setup *setup = worker->setup;
    if (setup->admin_listener < 0)
        return true;
    if (!describe_all(worker))
        return false;
    struct admin_setup admin = {.config = setup->config,
                                .listener = setup->admin_listener,
                                .history = setup->history,
                                .metrics = setup->metrics,
                                .certificates = worker->certificates,
                                .certificate_count = worker->certificate_count,
                                .certificates_failed = store_failed(worker->store),
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
        note_drain(worker, got > 0 ? &message : NULL);
}

/* Asks immured for its figures and, if it has been replaced, for the keys that it holds. */
static void watch_keyd(struct worker *worker)
{
    if (!keyd_watch_ask(&worker->keyd) || !keyd_watch_look(&worker->keyd))
        return;
    for (size_t i = 0; i < worker->certificate_count; i++)
        note_key(worker, (uint32_t)i);
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
    for (size_t i = 0; i < worker->certificate_count; i++)
        free((char *)worker->certificates[i].names);
    if (worker->watching)
        keyd_watch_close(&worker->keyd);
    free(worker->certificates);
    free(worker->keyless);
    for (unsigned i = 0; i < worker->thread_count; i++)
        thread_free(worker->threads[i]);
    free(worker->threads);
    session_cache_free(worker->tls.sessions);
    store_close(worker->store);
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
    if (!load_threads(worker, error))
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
    struct worker worker = {.setup = setup, .limit = {.most = setup->config->max_connections}};
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
