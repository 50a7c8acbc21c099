#include "proxy/master/generation.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "proxy/config/load.h"
#include "proxy/master/certificates.h"
#include "proxy/master/controls.h"
#include "proxy/master/health.h"
#include "proxy/master/keyd_text.h"
#include "proxy/master/names.h"
#include "proxy/master/processes.h"
#include "proxy/master/refresh.h"
#include "proxy/master/settings.h"
#include "proxy/master/sockets.h"

#define START_LIMIT (60 * NS_PER_S)
#define NAMES_LIMIT (5 * NS_PER_S) /* until each name of a server has an address */
/* The time after the drain's deadline, which the worker knows, and after each harder step. */
#define GRACE (2 * NS_PER_S)

/* The callbacks of its watches and its timer. */
static void control_ready(struct watch *watch, uint32_t events);
static void hand_over_readable(struct watch *watch, uint32_t events);
static void names_answered(struct watch *watch, uint32_t events);
static void send_verdict(struct generation *generation, uint32_t server)
{
    controls_send_server(generation, server, OWED_VERDICT);
}

static void health_reported(struct watch *watch, uint32_t events);
static void certificates_answered(struct watch *watch, uint32_t events);
static void folders_changed(struct watch *watch, uint32_t events);
static void deadline_expired(struct timer *timer);

static void set_deadline(struct generation *generation, uint64_t deadline)
{
    timer_start_at(generation->setup->loop, &generation->deadline, deadline);
}

uint64_t generation_deadline(const struct generation *generation)
{
    return timer_is_running(&generation->deadline) ? generation->deadline.expires : UINT64_MAX;
}

/* ---- coming up ---- */

/* An immured that is started again gets all this unchanged, even if the files have changed. */
static bool prepare_keyd(struct generation *generation)
{
    const struct proxy_config *config = generation->config;
    char reason[128];
    bool more = keyd_keys_wanted(config);
    bool known = keyd_files(config, &generation->keyd_names) &&
                 (!more || keyd_keys_find(&generation->keyd_keys, NULL, generation->store,
                                          &generation->keyd_names));
    char *text = known ? keyd_text(config, more ? &generation->keyd_keys : NULL) : NULL;
    if (text != NULL)
        generation->keyd_text = descriptor_of_bytes("immured.conf", text, strlen(text));
    free(text);
    if (asprintf(&generation->keyd_name, "%s (for immured)", config->file) < 0)
        generation->keyd_name = NULL;
    if (generation->keyd_text < 0 || generation->keyd_name == NULL ||
        !file_states_take(&generation->keyd_files, &generation->keyd_names) ||
        !vault_make_room(&generation->keyd_vault, reason, sizeof reason) ||
        !keyd_listen(generation))
        return false;
    if (generation->keyd_vault.page == PAGES_UNLOCKED)
        log_warning("THE KEY TO WHAT IS KEPT FOR THE NEXT IMMURED IS NOT LOCKED: it may be written "
                    "to swap. %s",
                    reason);
    return true;
}

static void end_hand_over(struct generation *generation)
{
    watch_release(generation->setup->loop, &generation->keyd_hand_over_watch);
    hand_over_end(&generation->keyd_hand_over);
}

static bool start_keyd(struct child *child)
{
    struct generation *generation = list_entry(child, struct generation, keyd);
    end_hand_over(generation);
    pid_t pid = keyd_start(generation);
    if (pid > 0)
        child_started(child, pid, clock_now());
    return pid > 0;
}

static bool start_worker(struct child *child)
{
    struct generation *generation = list_entry(child, struct generation, worker);
    controls_close(generation);
    generation->keyless.count = 0; /* until the worker says so */
    pid_t pid = worker_start(generation);
    if (pid > 0)
        child_started(child, pid, clock_now());
    return pid > 0;
}

static bool start_resolver(struct child *child)
{
    return names_start(list_entry(child, struct generation, resolver));
}

static bool start_checker(struct child *child)
{
    return health_start(list_entry(child, struct generation, checker));
}

/* It is never started again: it ends when it has answered. */
static bool start_loader(struct child *child)
{
    (void)child;
    return false;
}

static bool start_watcher(struct child *child)
{
    return certificates_watch(list_entry(child, struct generation, watcher));
}

/* The first worker waits until each host name has an address, and the certificates are read. */
static bool worker_waits(const struct generation *generation)
{
    return names_missing(generation) != NULL || generation->store == NULL;
}

static void limit_start(struct generation *generation)
{
    bool names = names_missing(generation) != NULL;
    set_deadline(generation, clock_now() + (names ? NAMES_LIMIT : START_LIMIT));
}

/* Starts the first immured of the generation, which may need to know the certificates. */
static bool begin_keyd(struct generation *generation, struct conf_error *error)
{
    if (!generation_needs_keyd(generation) ||
        (prepare_keyd(generation) && start_keyd(&generation->keyd)))
        return true;
    snprintf(error->text, sizeof error->text, "%s: cannot start immured: %s",
             generation->config->file, strerror(errno));
    return false;
}

static bool start(struct generation *generation, const struct generation *before,
                  struct conf_error *error)
{
    const struct proxy_config *config = generation->config;
    snprintf(error->text, sizeof error->text, "%s: out of memory", config->file);
    if (!controls_init(generation, control_ready))
        return false;
    generation->metrics = generation_metrics_new(generation->setup->history, config->workers);
    if (generation->metrics == NULL)
        return false;
    if (!sockets_open(generation, error))
        return false;
    if (!keyd_keys_wanted(config) && !begin_keyd(generation, error))
        return false;
    if (!names_start(generation)) {
        snprintf(error->text, sizeof error->text, "%s: cannot start a resolver: %s", config->file,
                 strerror(errno));
        return false;
    }
    if (!certificates_start(generation, before != NULL ? before->store : NULL, NULL, false)) {
        snprintf(error->text, sizeof error->text, "%s: cannot start a loader of certificates: %s",
                 config->file, strerror(errno));
        return false;
    }
    if (!certificates_watch(generation)) {
        snprintf(error->text, sizeof error->text, "%s: cannot start a watcher of certificates: %s",
                 config->file, strerror(errno));
        return false;
    }
    limit_start(generation);
    return true;
}

struct generation *generation_new(struct proxy_config *config, const struct generation_setup *setup,
                                  const struct generation *before, struct conf_error *error)
{
    struct generation *generation = calloc(1, sizeof *generation);
    if (generation == NULL) {
        snprintf(error->text, sizeof error->text, "%s: out of memory", config->file);
        config_free(config);
        return NULL;
    }
    *generation = (struct generation){.setup = setup,
                                      .config = config,
                                      .state = GENERATION_STARTING,
                                      .store_memory = -1,
                                      .keyd_listener = -1,
                                      .keyd_text = -1,
                                      .keyd_vault = VAULT_INIT,
                                      .keyd_hand_over = HAND_OVER_INIT};
    timer_init(&generation->deadline, deadline_expired);
    child_init(&generation->keyd, "immured", setup->loop, start_keyd);
    child_init(&generation->worker, "worker", setup->loop, start_worker);
    child_init(&generation->resolver, "resolver", setup->loop, start_resolver);
    child_init(&generation->checker, "checker", setup->loop, start_checker);
    child_init(&generation->watcher, "watcher", setup->loop, start_watcher);
    watch_init(&generation->folders, folders_changed);
    child_init(&generation->loader, "loader", setup->loop, start_loader);
    watch_init(&generation->names, names_answered);
    watch_init(&generation->health, health_reported);
    watch_init(&generation->certificates, certificates_answered);
    watch_init(&generation->keyd_hand_over_watch, hand_over_readable);
    refresh_init(generation);
    list_init(&generation->node);
    names_inherit(generation, before);
    health_inherit(generation, before);
    settings_inherit(generation, before);
    if (start(generation, before, error))
        return generation;
    child_signal(&generation->keyd, SIGTERM); /* nobody will wait for its end in particular */
    generation_free(generation);
    return NULL;
}

void generation_free(struct generation *generation)
{
    names_stop(generation);
    health_stop(generation);
    certificates_stop(generation);
    refresh_end(generation);
    store_close(generation->store);
    descriptor_close(&generation->store_memory);
    back_off_stop(&generation->keyd.back_off);
    back_off_stop(&generation->worker.back_off);
    timer_stop(generation->setup->loop, &generation->deadline);
    sockets_release(generation);
    controls_close(generation);
    descriptor_close(&generation->keyd_listener);
    end_hand_over(generation);
    descriptor_close(&generation->keyd_text);
    free(generation->keyd_name);
    name_table_free(&generation->keyd_names);
    keyd_keys_free(&generation->keyd_keys);
    file_states_free(&generation->keyd_files);
    vault_drop(&generation->keyd_vault);
    generation_metrics_free(generation->setup->history, generation->metrics);
    config_free(generation->config);
    list_remove(&generation->node);
    free(generation->controls);
    free(generation->listening);
    free(generation);
}

/* ---- what it is told ---- */

static void fail(struct generation *generation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void fail(struct generation *generation, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(generation->failure, sizeof generation->failure, format, arguments);
    va_end(arguments);
    generation->state = GENERATION_FAILED;
    timer_stop(generation->setup->loop, &generation->deadline);
}

static void hand_over_goes_on(struct generation *generation)
{
    enum hand_over_state state = hand_over_ready(&generation->keyd_hand_over);
    int reason = errno;
    if (state == HAND_OVER_CHANGED_KEYS || state == HAND_OVER_REFUSED_CHANGE)
        refresh_key_changed(generation, state);
    if (state != HAND_OVER_BROKEN && (state != HAND_OVER_DONE || generation->keyd_hand_over.lasts))
        return;
    end_hand_over(generation);
    refresh_keyd_ended(generation);
    /* EPIPE: immured ends, has logged the reason, and SIGCHLD will report it */
    if (state == HAND_OVER_BROKEN && reason != EPIPE && generation->state == GENERATION_STARTING)
        fail(generation, "the hand-over of key files: %s", strerror(reason));
}

static void fail_for_name(struct generation *generation, const struct server_config *missing)
{
    char text[sizeof generation->failure];
    names_describe(generation, missing, text, sizeof text);
    fail(generation, "%s", text);
}

/* A generation that waited for its host names or certificates starts its worker, or fails. */
static void go_on(struct generation *generation)
{
    const struct server_config *missing = names_missing(generation);
    if (generation->state != GENERATION_STARTING || generation->worker.pid > 0)
        return;
    if (missing != NULL && missing->trouble[0] != '\0') {
        fail_for_name(generation, missing);
    } else if (missing == NULL) {
        limit_start(generation);
        if (!worker_waits(generation) && !start_worker(&generation->worker))
            fail(generation, "%s: cannot start a worker: %s", generation->config->file,
                 strerror(errno));
    }
}

static void certificates_go_on(struct generation *generation)
{
    struct conf_error error;
    generation->store = certificates_take(generation, &generation->store_memory, &error);
    if (generation->store != NULL &&
        (!keyd_keys_wanted(generation->config) || begin_keyd(generation, &error)))
        go_on(generation);
    else if (error.text[0] != '\0' && generation->state == GENERATION_STARTING)
        fail(generation, "%s", error.text);
}

static void hand_over_readable(struct watch *watch, uint32_t events)
{
    (void)events;
    hand_over_goes_on(list_entry(watch, struct generation, keyd_hand_over_watch));
}

static void send_addresses(struct generation *generation, uint32_t server)
{
    controls_send_server(generation, server, OWED_ADDRESSES);
    health_send_server(generation, server);
}

static void names_answered(struct watch *watch, uint32_t events)
{
    (void)events;
    struct generation *generation = list_entry(watch, struct generation, names);
    names_ready(generation, send_addresses);
    go_on(generation);
}

static void health_reported(struct watch *watch, uint32_t events)
{
    (void)events;
    health_ready(list_entry(watch, struct generation, health), send_verdict);
}

/* Servers are checked for a configuration that is in force. */
static void begin_checks(struct generation *generation)
{
    struct child *checker = &generation->checker;
    if (health_start(generation))
        return;
    log_error("cannot start %s: %s", checker->name, strerror(errno));
    back_off_restart(&checker->back_off, 0, clock_now());
}

static void certificates_answered(struct watch *watch, uint32_t events)
{
    (void)events;
    struct generation *generation = list_entry(watch, struct generation, certificates);
    if (generation->refresh.step == REFRESH_READS)
        refresh_read(generation);
    else
        certificates_go_on(generation);
}

static void folders_changed(struct watch *watch, uint32_t events)
{
    (void)events;
    struct generation *generation = list_entry(watch, struct generation, folders);
    char changes[64];
    ssize_t length = recv(watch->descriptor, changes, sizeof changes, 0);
    if (length > 0)
        refresh_folders_changed(generation);
    else if (length == 0) /* the process ends, which SIGCHLD reports */
        watch_close_shared(generation->setup->loop, watch);
}

static void worker_ready(struct generation *generation)
{
    if (generation->state == GENERATION_STARTING) {
        if (generation->keyd_hand_over_watch.descriptor >= 0)
            hand_over_goes_on(generation); /* the worker, which is ready, knows that it is done */
        generation->state = GENERATION_RUNNING;
        timer_stop(generation->setup->loop, &generation->deadline);
        refresh_running(generation);
        begin_checks(generation);
    } else if (generation->state == GENERATION_RUNNING) {
        log_info("worker (pid %d) is ready", (int)generation->worker.pid);
    }
}

/* A test of the configuration does not wait for a running immured to appear. */
static void check_keyd(struct generation *generation)
{
    const char *socket = generation->config->keys.socket;
    if (socket != NULL && generation->keyd_trouble != 0 && generation->setup->test &&
        generation->state == GENERATION_STARTING)
        fail(generation, "keys: no immured at %s: %s", socket,
             keyd_trouble_text(generation->keyd_trouble));
}

static void control_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct control_end *control = list_entry(watch, struct control_end, watch);
    struct control_message message;
    int descriptor = -1;
    if (control->waits)
        control_pay(control);
    int got = control_receive(watch->descriptor, &message, &descriptor);
    descriptor_close(&descriptor); /* a worker has no reason to send one */
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) { /* the process ends, which SIGCHLD reports */
        watch_close_shared(control->generation->setup->loop, watch);
    } else if (message.type == CONTROL_KEYD_WANTED) {
        control->owes_keyd = true;
        control_pay(control);
        check_keyd(control->generation);
    } else if (message.type == CONTROL_PAUSED) {
        health_note_pause(control->generation, message.paused.server, message.paused.pause);
    } else if (message.type == CONTROL_KEYLESS) {
        control->generation->keyless = message.keyless;
    } else if (message.type == CONTROL_READY) {
        worker_ready(control->generation);
    } else if (message.type == CONTROL_STORE_TAKEN || message.type == CONTROL_STORE_FAILED) {
        refresh_heard(control, message.type);
    }
}

/* ---- going down ---- */

/* immured has nobody to sign for when the worker is gone. */
static void stop_keyd(struct generation *generation)
{
    back_off_stop(&generation->keyd.back_off);
    child_signal(&generation->keyd, SIGTERM);
    set_deadline(generation, clock_now() + GRACE);
    if (generation->keyd.pid == 0)
        generation->state = GENERATION_ENDED;
}

static void stop_serving(struct generation *generation)
{
    names_stop(generation);
    health_stop(generation);
    certificates_stop(generation);
    refresh_end(generation);
    sockets_release(generation);
    back_off_stop(&generation->worker.back_off);
}

void generation_drain(struct generation *generation, uint64_t deadline)
{
    generation->state = GENERATION_DRAINING;
    generation->drain_deadline = deadline;
    set_deadline(generation, deadline < UINT64_MAX - GRACE ? deadline + GRACE : UINT64_MAX);
    controls_send_drain(generation);
    stop_serving(generation);
    if (generation->worker.pid > 0)
        generation_metrics_drain(generation->metrics);
    else
        stop_keyd(generation);
}

bool generation_has_time(const struct generation *generation, uint64_t now)
{
    return generation->state == GENERATION_DRAINING &&
           generation_deadline(generation) > now + GRACE;
}

void generation_discard(struct generation *generation)
{
    generation->state = GENERATION_DRAINING;
    set_deadline(generation, clock_now() + GRACE);
    stop_serving(generation);
    child_signal(&generation->worker, SIGKILL);
    if (generation->worker.pid == 0)
        stop_keyd(generation);
}

static void worker_ended(struct generation *generation, int status)
{
    char how[64];
    struct child *worker = &generation->worker;
    child_describe(status, how, sizeof how);
    generation_metrics_worker_ended(generation->metrics);
    if (generation->state == GENERATION_RUNNING) {
        refresh_worker_ended(generation);
        child_restart_later(worker, status, clock_now());
        return;
    }
    if (generation->state == GENERATION_STARTING)
        fail(generation, "its worker (pid %d) %s", (int)worker->pid, how);
    else
        log_info("worker (pid %d) %s", (int)worker->pid, how);
    child_ended(worker);
    if (generation->state == GENERATION_DRAINING)
        stop_keyd(generation);
}

static void keyd_ended(struct generation *generation, int status)
{
    char how[64];
    struct child *keyd = &generation->keyd;
    bool wanted = generation->state == GENERATION_RUNNING ||
                  (generation->state == GENERATION_DRAINING && generation->worker.pid > 0);
    if (wanted) {
        child_restart_later(keyd, status, clock_now());
        return;
    }
    if (generation->state == GENERATION_STARTING)
        fail(generation, "its immured (pid %d) %s", (int)keyd->pid,
             child_describe(status, how, sizeof how));
    child_ended(keyd);
    if (generation->state == GENERATION_DRAINING && generation->worker.pid == 0)
        generation->state = GENERATION_ENDED;
}

static void resolver_ended(struct generation *generation, int status)
{
    if (generation->names.descriptor >= 0)
        child_restart_later(&generation->resolver, status, clock_now());
    else
        child_ended(&generation->resolver);
}

/* The watch says whether it is wanted. */
static void checker_ended(struct generation *generation, int status)
{
    if (generation->health.descriptor >= 0)
        child_restart_later(&generation->checker, status, clock_now());
    else
        child_ended(&generation->checker);
}

static void watcher_ended(struct generation *generation, int status)
{
    if (generation->state == GENERATION_RUNNING)
        child_restart_later(&generation->watcher, status, clock_now());
    else
        child_ended(&generation->watcher);
}

/* The watch says whether it has answered. */
static void loader_ended(struct generation *generation)
{
    child_ended(&generation->loader);
    refresh_loader_ended(generation);
}

bool generation_process_ended(struct generation *generation, pid_t pid, int status)
{
    if (pid == generation->worker.pid)
        worker_ended(generation, status);
    else if (pid == generation->keyd.pid)
        keyd_ended(generation, status);
    else if (pid == generation->resolver.pid)
        resolver_ended(generation, status);
    else if (pid == generation->checker.pid)
        checker_ended(generation, status);
    else if (pid == generation->loader.pid)
        loader_ended(generation);
    else if (pid == generation->watcher.pid)
        watcher_ended(generation, status);
    else
        return false;
    return true;
}

/* ---- time ---- */

static void deadline_expired(struct timer *timer)
{
    struct generation *generation = list_entry(timer, struct generation, deadline);
    const struct server_config *missing = names_missing(generation);
    if (generation->state == GENERATION_STARTING && missing != NULL) {
        fail_for_name(generation, missing);
    } else if (generation->state == GENERATION_STARTING && generation->store == NULL) {
        fail(generation, "its certificates are not read after %" PRIu64 " s",
             START_LIMIT / NS_PER_S);
    } else if (generation->state == GENERATION_STARTING) {
        fail(generation, "its worker is not ready after %" PRIu64 " s", START_LIMIT / NS_PER_S);
    } else if (generation->state == GENERATION_DRAINING) {
        const struct child *late =
            generation->worker.pid > 0 ? &generation->worker : &generation->keyd;
        log_warning("%s (pid %d) does not end; it is killed", late->name, (int)late->pid);
        child_signal(late, SIGKILL);
        set_deadline(generation, clock_now() + GRACE);
    }
}
