#include "proxy/worker/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/privilege.h"
#include "proxy/admin/admin.h"
#include "proxy/worker/certificate.h"
#include "proxy/worker/thread.h"

/* Our own immured may still be reading its keys. */
#define KEYS_TIMEOUT (30 * NS_PER_S)
#define NAMES_TEXT_MAX 256

struct worker {
    const struct worker_setup *setup;
    struct connection_limit limit; /* of all threads together */
    struct thread **threads;
    unsigned thread_count;
    bool draining;
    struct admin *admin;
    struct thread_metrics **metrics;
    struct certificate_info *certificates;
    size_t certificate_count;
};

static int main_control(const struct worker *worker)
{
    return worker->setup->controls[worker->setup->config->workers];
}

static bool load_threads(struct worker *worker, struct config_error *error)
{
    const struct worker_setup *setup = worker->setup;
    unsigned count = setup->config->workers;
    worker->threads = calloc(count, sizeof(struct thread *));
    if (worker->threads == NULL)
        return false;
    while (worker->thread_count < count) {
        unsigned number = worker->thread_count;
        struct thread_setup thread_setup = {.limit = &worker->limit,
                                            .config = setup->config,
                                            .tickets = &setup->tickets,
                                            .listeners = setup->listeners[number],
                                            .control = setup->controls[number],
                                            .number = number};
        worker->threads[number] = thread_new(&thread_setup, error);
        if (worker->threads[number] == NULL)
            return false;
        worker->thread_count++;
    }
    return true;
}

/* ---- does immured hold the keys? ---- */

/* Calls `visit` for each certificate of the configuration, in its order, until one returns false.
 */
static bool for_each_certificate(const struct worker *worker,
                                 bool (*visit)(const struct tls_frontend *frontend,
                                               struct tls_certificate *certificate, void *arg),
                                 void *arg)
{
    const struct tls *tls = worker->threads[0]->tls;
    for (size_t i = 0; i < tls->frontend_count; i++)
        for (size_t j = 0; j < tls->frontends[i].certificate_count; j++)
            if (!visit(&tls->frontends[i], &tls->frontends[i].certificates[j], arg))
                return false;
    return true;
}

struct held_keys {
    uint8_t (*ids)[IMMURE_KEY_ID_SIZE];
    size_t count;
    bool short_of_memory;
    enum immure_error error;
};

static void note_key(void *arg, const struct immure_key *key, enum immure_error error)
{
    struct held_keys *held = arg;
    held->error = error;
    if (key == NULL)
        return;
    void *ids = reallocarray(held->ids, held->count + 1, IMMURE_KEY_ID_SIZE);
    held->short_of_memory |= ids == NULL;
    if (ids != NULL) {
        held->ids = ids;
        memcpy(held->ids[held->count++], key->id, IMMURE_KEY_ID_SIZE);
    }
}

struct key_check {
    const struct held_keys *held;
    const char *file;
    struct config_error *error;
};

static bool is_held(const struct tls_frontend *frontend, struct tls_certificate *certificate,
                    void *arg)
{
    (void)frontend;
    const struct key_check *check = arg;
    for (size_t i = 0; i < check->held->count; i++)
        if (memcmp(check->held->ids[i], certificate->key_id, IMMURE_KEY_ID_SIZE) == 0)
            return true;
    char id[2 * IMMURE_KEY_ID_SIZE + 1];
    snprintf(check->error->text, sizeof check->error->text,
             "%s:%d: certificate: immured holds no private key for %s (key id %s)", check->file,
             certificate->config->line, certificate->config->chain,
             hex_encode(certificate->key_id, IMMURE_KEY_ID_SIZE, id));
    return false;
}

static void note_drain(void *owner, const struct control_message *message)
{
    struct worker *worker = owner;
    if (message == NULL || message->type == CONTROL_DRAIN)
        worker->draining = true;
}

static bool check_keys(struct worker *worker, struct config_error *error)
{
    const struct config *config = worker->setup->config;
    if (config->signing == SIGNING_IN_PROCESS)
        return true;
    struct keylink link = {.owner = worker, .command = note_drain};
    struct held_keys held = {0};
    bool good = keylink_open(&link, main_control(worker), SIGNING_SYNC, 1);
    if (good) {
        enum immure_error result =
            immure_blocking_list(link.blocking, KEYS_TIMEOUT, note_key, &held);
        good = result == IMMURE_OK && !held.short_of_memory;
        if (!good)
            snprintf(error->text, sizeof error->text, "%s: cannot ask immured for its keys: %s",
                     config->file, immure_error_text(result));
    }
    struct key_check check = {.held = &held, .file = config->file, .error = error};
    good = good && for_each_certificate(worker, is_held, &check);
    keylink_close(&link);
    free(held.ids);
    return good;
}

/* ---- what the admin page says of the certificates ---- */

static void join_names(const struct tls_certificate *certificate, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < certificate->name_count && length + 1 < size; i++) {
        int more = snprintf(text + length, size - length, "%s%s", i > 0 ? ", " : "",
                            certificate->names[i]);
        length += more > 0 ? (size_t)more : 0;
    }
}

static bool describe(const struct tls_frontend *frontend, struct tls_certificate *certificate,
                     void *arg)
{
    struct worker *worker = arg;
    char names[NAMES_TEXT_MAX], key_type[32];
    struct certificate_info *infos =
        reallocarray(worker->certificates, worker->certificate_count + 1, sizeof *infos);
    if (infos == NULL)
        return false;
    worker->certificates = infos;
    struct certificate_info *info = &infos[worker->certificate_count++];
    join_names(certificate, names, sizeof names);
    certificate_key_type(certificate, key_type, sizeof key_type);
    *info = (struct certificate_info){.frontend = frontend->config->name,
                                      .names = strdup(names),
                                      .key_type = strdup(key_type),
                                      .file = certificate->config->chain,
                                      .not_after = certificate_not_after(certificate)};
    hex_encode(certificate->key_id, IMMURE_KEY_ID_SIZE, info->key_id);
    return info->names != NULL && info->key_type != NULL;
}

static bool start_admin(struct worker *worker)
{
    const struct worker_setup *setup = worker->setup;
    if (setup->admin_listener < 0)
        return true;
    worker->metrics = calloc(worker->thread_count, sizeof(struct thread_metrics *));
    if (worker->metrics == NULL || !for_each_certificate(worker, describe, worker))
        return false;
    for (unsigned i = 0; i < worker->thread_count; i++)
        worker->metrics[i] = worker->threads[i]->metrics;
    struct admin_setup admin = {.config = setup->config,
                                .listener = setup->admin_listener,
                                .threads = worker->metrics,
                                .certificates = worker->certificates,
                                .certificate_count = worker->certificate_count,
                                .started = setup->started};
    worker->admin = admin_start(&admin);
    return worker->admin != NULL;
}

/* ---- life ---- */

static void *thread_main(void *arg)
{
    thread_run(arg);
    return NULL;
}

static bool start_threads(struct worker *worker)
{
    for (unsigned i = 0; i < worker->thread_count; i++)
        if (pthread_create(&worker->threads[i]->handle, NULL, thread_main, worker->threads[i]) != 0)
            return false;
    return true;
}

/* The threads hear of a drain by themselves; the admin page ends when it begins, for the next
 * worker's to take over. */
static void wait_for_drain(struct worker *worker)
{
    struct pollfd master = {.fd = main_control(worker), .events = POLLIN};
    while (!worker->draining && (poll(&master, 1, -1) > 0 || errno == EINTR)) {
        struct control_message message;
        int descriptor = -1;
        int got = control_receive(master.fd, &message, &descriptor);
        if (got >= 0)
            note_drain(worker, got > 0 ? &message : NULL);
    }
    if (worker->admin != NULL)
        admin_stop(worker->admin);
    for (unsigned i = 0; i < worker->thread_count; i++)
        pthread_join(worker->threads[i]->handle, NULL);
}

static void unload(struct worker *worker)
{
    for (size_t i = 0; i < worker->certificate_count; i++) {
        free((char *)worker->certificates[i].names);
        free((char *)worker->certificates[i].key_type);
    }
    free(worker->certificates);
    free(worker->metrics);
    for (unsigned i = 0; i < worker->thread_count; i++)
        thread_free(worker->threads[i]);
    free(worker->threads);
}

/* Only the master speaks to a worker; a signal to the whole group is meant for the master. */
static void ignore_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_IGN);
}

static bool prepare(struct worker *worker, struct config_error *error)
{
    const struct config *config = worker->setup->config;
    char reason[256];
    snprintf(error->text, sizeof error->text, "%s: out of memory", config->file);
    if (!load_threads(worker, error))
        return false;
    if (geteuid() == 0 && !privilege_drop(config->user, reason, sizeof reason)) {
        snprintf(error->text, sizeof error->text, "%s: user: %s", config->file, reason);
        return false;
    }
    return check_keys(worker, error);
}

int worker_run(const struct worker_setup *setup)
{
    struct worker worker = {.setup = setup, .limit = {.most = setup->config->max_connections}};
    struct config_error error;
    int status = 1;
    ignore_signals();
    if (!prepare(&worker, &error)) {
        log_error("%s", error.text);
    } else if (!start_admin(&worker) || !start_threads(&worker)) {
        log_error("%s: out of memory or threads", setup->config->file);
        _exit(1); /* some threads may run */
    } else {
        struct control_message ready = {.type = CONTROL_READY};
        control_send(main_control(&worker), &ready, -1);
        wait_for_drain(&worker);
        status = 0;
    }
    unload(&worker);
    return status;
}
