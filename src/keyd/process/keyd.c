/* The life of the key process: it reads all its files, enters its sandbox, then serves. */
#include "keyd/process/keyd.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/file_table.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/slice.h"
#include "conf/error.h"
#include "conf/text.h"
#include "keyd/front/server.h"
#include "keyd/keys/files.h"
#include "keyd/keys/intake.h"
#include "keyd/keys/keyring.h"
#include "keyd/keys/packed.h"
#include "keyd/keys/pem.h"
#include "keyd/keys/secret_memory.h"
#include "keyd/process/key_changes.h"
#include "keyd/process/load.h"
#include "keyd/process/options.h"
#include "keyd/process/sandbox.h"
#include "keyd/process/supervise.h"
#include "keyd/sign/calibrate.h"
#include "keyd/sign/compact_samples.h"
#include "keyd/sign/drivers.h"
#include "keyd/sign/warm_up.h"

#define SHORT_SLICE (100 * NS_PER_US)
#define MORE_CALLS_MAX 256

/* The state of the process. */
struct keyd {
    struct keyd_options options;
    const struct driver *const *prototypes; /* of the drivers */
    struct report walls;
    struct arena arena;
    struct keyd_config config;
    struct file_table opened; /* the configured files, if the caller has opened them; else: */
    int hand_over;            /* the socket from which the files come; -1: none */
    pid_t opener;             /* the child at its other end; 0: it is the supervisor */
    struct files files;       /* the files, until they have been read */
    struct drivers drivers;
    struct kinds kinds;
    struct keyring keyring;
    struct key_changes changes; /* of compact keys */
    struct compact_samples samples;
    struct signer signer; /* the event loop's */
    struct scheduler scheduler;
    struct keyd_server server;
    pid_t supervisor;         /* 0: none */
    uid_t starter;            /* the user who started it */
    struct identity identity; /* the user that it becomes */
    int status;
};

static bool restrict_key(struct key *key, const struct key_config *config)
{
    char where[512];
    snprintf(where, sizeof where, "%s: key \"%s\"", config->location, config->name);
    key->rate = config->rate;
    return allow_resolve(&key->allow, &config->allow, where);
}

/* Refuses a key that is configured twice in different ways: the order must not decide which policy
 * applies. */
static bool agrees(const struct keyd *keyd, const struct key *key)
{
    const struct key *other = keyring_find(&keyd->keyring, key->id);
    const char *difference = other != NULL ? key_difference(other, key) : NULL;
    if (difference != NULL)
        log_error("%s: key \"%s\" is the same key as \"%s\" (%s), with another %s", key->location,
                  key->name, other->name, other->location, difference);
    return difference == NULL;
}

static void warn_of_policy(const struct key_config *config)
{
    const char *warning = policy_warning(config->policy);
    if (warning != NULL)
        log_warning("%s: key \"%s\" %s", config->location, config->name, warning);
    if (config->every_group)
        log_warning("%s: key \"%s\" signs for secp521r1 and x448, too (tls12-groups = all), which "
                    "let clients choose more bytes of the message",
                    config->location, config->name);
}

static bool load_key(struct keyd *keyd, const struct key_config *config, struct pem_reader *reader)
{
    struct key_source source = {.config = config,
                                .files = &keyd->files,
                                .reader = reader,
                                .unverified = keyd->config.compact.ecdsa_unverified};
    char reason[512];
    const char *name = config->driver != NULL ? config->driver : keyd->config.driver;
    const struct driver *driver = drivers_find(&keyd->drivers, name); /* NULL: auto */
    if (driver != NULL) {
        source.device = driver->device;
        source.device_state = driver->state;
    }
    struct key *key = key_load(&source, reason, sizeof reason);
    if (key == NULL || !kinds_add_key(&keyd->kinds, key, driver, reason, sizeof reason)) {
        key_free(key);
        log_error("%s: key \"%s\": %s", config->location, config->name, reason);
        return false;
    }
    if (!restrict_key(key, config) || !agrees(keyd, key)) {
        key_free(key);
        return false;
    }
    switch (keyring_add(&keyd->keyring, key)) {
    case KEYRING_ADDED:
        warn_of_policy(config);
        return true;
    case KEYRING_KNOWN:
        log_warning("%s: key \"%s\" is the same key as one before it, whose name is used",
                    config->location, config->name);
        return true;
    default:
        log_error("%s: key \"%s\": out of memory", config->location, config->name);
        return false;
    }
}

/* Loads all keys even if one fails, so that one run shows every mistake. */
static bool load_keys(struct keyd *keyd)
{
    struct pem_reader *reader = pem_reader_new();
    bool good = reader != NULL;
    if (keyd->config.compact.ecdsa_unverified)
        log_warning("ECDSA signatures are released without verification (verify = not-ecdsa)");
    if (!good)
        log_error("out of memory");
    for (size_t i = 0; reader != NULL && i < keyd->config.key_count; i++)
        good &= load_key(keyd, &keyd->config.keys[i], reader);
    pem_reader_free(reader);
    return good;
}

/* Finds the kind of each compact key. */
static bool load_compact(struct keyd *keyd)
{
    struct compact_keys *compact = &keyd->keyring.compact;
    struct key_changes *changes = &keyd->changes;
    changes->kinds = &keyd->kinds;
    changes->wanted = drivers_find(&keyd->drivers, keyd->config.driver);
    if (compact->group_count > 0 && changes->wanted != NULL && changes->wanted->sections) {
        log_error("%s: keys \"%s\": the backend %s does not serve keys in groups",
                  compact->groups[0].config->location, compact->groups[0].config->name,
                  changes->wanted->name);
        return false;
    }
    return samples_find(&keyd->samples, &keyd->keyring, &keyd->kinds, changes->wanted);
}

static bool open_clients(struct keyd *keyd)
{
    const struct keyd_options *options = &keyd->options;
    return (keyd->hand_over < 0 ||
            key_changes_open(&keyd->changes, &keyd->server, keyd->hand_over)) &&
           (options->listener < 0 || server_listen(&keyd->server, options->listener)) &&
           (options->session < 0 || server_add_session(&keyd->server, options->session));
}

/*
 * With `yield`, a thread of immured that wakes up does not preempt the running thread: otherwise an
 * event loop that asks for a signature would be interrupted in the middle of its turn, and wait for
 * the kernel's next tick. Without it clients wait for immured, so its threads have a short slice
 * and need not wait for others. crew.h says what weight the signer threads have.
 */
static void weigh(bool yield)
{
    if (yield)
        sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    else
        slice_set(SHORT_SLICE);
}

/* Whether clients may come other than the one that it was started for. */
static bool accepts(const struct keyd *keyd)
{
    return keyd->options.listener >= 0 || keyd->options.explain;
}

static bool read_config(struct keyd *keyd)
{
    const char *file = keyd->options.config;
    int given = keyd->options.text;
    if (given < 0)
        given = file_table_find(&keyd->opened, file);
    char *text = given >= 0 ? conf_text_read_open(given) : conf_text_read(file);
    struct conf_error error;
    bool good = config_load(&keyd->config, file, text, keyd->prototypes, &error);
    free(text);
    if (!good)
        log_error("%s", error.text);
    return good;
}

static bool open_files(struct keyd *keyd)
{
    struct name_table names = NAME_TABLE_INIT;
    if (config_name_files(&keyd->config, &names))
        keyd->hand_over = intake_open(&names, &keyd->opener);
    else
        log_error("out of memory");
    name_table_free(&names);
    return keyd->hand_over >= 0;
}

/* Reads the configuration, and finds a source for the files that it names. */
static bool find_files(struct keyd *keyd)
{
    const struct keyd_options *options = &keyd->options;
    keyd->hand_over = options->hand_over;
    if (options->files >= 0 && !file_table_receive(&keyd->opened, options->files)) {
        log_error("--files-fd: %s", strerror(errno));
        return false;
    }
    return read_config(keyd) && (options->files >= 0 || keyd->hand_over >= 0 || open_files(keyd));
}

static bool take_files(struct keyd *keyd)
{
    if (keyd->hand_over < 0)
        return intake_table(&keyd->files, &keyd->opened);
    bool good = intake_receive(&keyd->files, &keyd->changes.intake, keyd->hand_over);
    if (keyd->opener > 0)
        waitpid(keyd->opener, NULL, 0);
    if (!good || keyd->opener > 0 || keyd->config.compact.group_count == 0)
        descriptor_close(&keyd->hand_over); /* no keys will be added or removed */
    return good;
}

/* The sandbox allows no new secret memory, so there must be some for keys that are added. */
static bool reserve(struct keyd *keyd)
{
    if (keyd->config.compact.group_count == 0 || packed_reserve(keyd->keyring.compact.packed))
        return true;
    log_error("secret memory for compact keys: %s", strerror(errno));
    return false;
}

/* Everything that is handed over, the compact keys too. */
static bool take_keys(struct keyd *keyd)
{
    struct compact_keys *compact = &keyd->keyring.compact;
    return compact_init(compact, &keyd->config.compact) &&
           key_intake_begin(&keyd->changes.intake, compact) && take_files(keyd) &&
           key_intake_read_phrases(&keyd->changes.intake, &keyd->files) && reserve(keyd) &&
           secret_memory_judge_packed(keyd->config.require_secret_memory, &keyd->arena, compact,
                                      &keyd->walls);
}

static bool keep_given(struct keyd *keyd)
{
    int *keep = calloc(keyd->opened.count + 3, sizeof *keep);
    if (keep == NULL) {
        log_error("out of memory");
        return false;
    }
    size_t count = 0;
    for (; count < keyd->opened.count; count++)
        keep[count] = keyd->opened.files[count].descriptor;
    keep[count++] = keyd->hand_over;
    keep[count++] = keyd->options.listener;
    keep[count++] = keyd->options.session;
    bool good = sandbox_begin(keep, count, accepts(keyd), &keyd->walls);
    free(keep);
    return good;
}

static bool make_drivers(struct keyd *keyd)
{
    const struct keyd_config *config = &keyd->config;
    size_t most = config->provider_count;
    for (size_t i = 0; keyd->prototypes[i] != NULL; i++)
        most++;
    bool good = drivers_init(&keyd->drivers, most);
    for (const struct driver *const *place = keyd->prototypes; good && *place != NULL; place++) {
        size_t sections = (*place)->sections ? config->provider_count : 0;
        for (size_t i = 0; good && i < sections; i++)
            good = drivers_add(&keyd->drivers, *place, config->providers[i].name,
                               &config->providers[i]);
        if (!(*place)->sections)
            good =
                good && drivers_add(&keyd->drivers, *place, NULL, config_settings(config, *place));
    }
    if (!good)
        log_error("out of memory");
    keyd->kinds.drivers = keyd->drivers.list;
    return good;
}

/* A module may need root to open its device; root is then given up later. */
static bool needs_root(const struct keyd *keyd)
{
    return drivers_privileged(&keyd->drivers);
}

static bool become_user(struct keyd *keyd)
{
    if (keyd->options.test && geteuid() != 0)
        return true; /* any user may test a configuration that is meant for root */
    return sandbox_become(&keyd->identity, keyd->supervisor, &keyd->walls);
}

static bool open_secret_memory(struct keyd *keyd)
{
    struct keyd_config *config = &keyd->config;
    bool compact = config->compact.group_count > 0;
    struct secret_memory_need need = {.keys = config->key_count,
                                      .cache = compact ? &config->compact.ready_max : NULL,
                                      .signers =
                                          config->threads + 2, /* the express, and the loop */
                                      .required = config->require_secret_memory};
    for (size_t i = 0; i < config->provider_count; i++)
        need.device_threads += config->providers[i].threads;
    return secret_memory_open(&need, &keyd->arena, &keyd->walls);
}

/* Does everything that needs root, unless a module needs it later. It runs on an ordinary stack
 * because there is no key yet. */
static bool begin(struct keyd *keyd)
{
    static const int no_calls[] = {-1};
    if (!find_files(keyd) || !make_drivers(keyd))
        return false;
    const struct keyd_config *config = &keyd->config;
    log_setup("immured", (enum log_level)config->log_level, config->log_json);
    weigh(config->yield); /* inherited by every thread */
    if (!keep_given(keyd) || !open_secret_memory(keyd) ||
        !sandbox_find_user(config->user, &keyd->identity))
        return false;
    if (needs_root(keyd))
        return true;
    sandbox_enter_namespaces(no_calls, &keyd->walls);
    return become_user(keyd);
}

/* Without this, a thread that a module starts could receive TERM, and the process would end at once
 * with its requests unanswered. server_init() opens the signals for the event loop. */
static void block_signals(void)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    pthread_sigmask(SIG_BLOCK, &taken, NULL);
}

static bool start(struct keyd *keyd)
{
    const struct keyd_config *config = &keyd->config;
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    if (!take_keys(keyd))
        return false;
    if (needs_root(keyd))
        block_signals();
    if (!drivers_open(&keyd->drivers, &keyd->files))
        return false;
    bool loaded = load_keys(keyd);
    loaded = loaded && load_compact(keyd);
    keyring_number_buckets(&keyd->keyring);
    queue_init(&keyd->scheduler.queue, &keyd->kinds, config->queue_age, (unsigned)config->threads,
               config->hold);
    if (config->compact.group_count > 0)
        queue_make_room(&keyd->scheduler.queue);
    bool good = loaded &&
                server_init(&keyd->server, &config->server, &keyd->keyring, &keyd->scheduler,
                            keyd->starter, keyd->supervisor != 0) &&
                tickets_open(&keyd->server.tickets, &config->tickets, &keyd->files) &&
                allow_resolve(&keyd->server.allow, &config->allow, keyd->options.config);
    change_key_take(&keyd->changes.change_key, &keyd->files);
    files_close(&keyd->files);
    return good;
}

static bool prepare_signing(struct keyd *keyd)
{
    const struct keyd_config *config = &keyd->config;
    const struct driver *const *drivers = keyd->drivers.list;
    struct scheduler *scheduler = &keyd->scheduler;
    unsigned threads = (unsigned)config->threads;
    if (!signer_init(&keyd->signer, drivers) || !drivers_start(&keyd->drivers) ||
        !calibrate(&keyd->kinds, &keyd->signer))
        return false;
    scheduler->signer = &keyd->signer;
    scheduler->keys = &keyd->keyring.compact;
    scheduler->crew = crew_start(drivers, threads, config->yield);
    bool good = scheduler->crew != NULL && warm_up(scheduler->crew, &keyd->keyring, &keyd->kinds);
    samples_release(&keyd->samples, &keyd->keyring.compact);
    return good;
}

static bool close_doors(struct keyd *keyd)
{
    int more_calls[MORE_CALLS_MAX];
    kinds_gather_calls(&keyd->kinds, more_calls, MORE_CALLS_MAX);
    unsigned threads = (unsigned)keyd->config.threads + 2; /* the express, and this thread */
    if (needs_root(keyd))
        sandbox_enter_namespaces(more_calls, &keyd->walls);
    return sandbox_isolate(threads, more_calls, &keyd->walls) && prepare_signing(keyd) &&
           (!needs_root(keyd) || become_user(keyd)) &&
           sandbox_close(&(struct sandbox_needs){.accepts = accepts(keyd),
                                                 .more = more_calls,
                                                 .hand_over = keyd->hand_over},
                         &keyd->arena, keyd->keyring.compact.packed, &keyd->walls) &&
           warm_up_devices(&keyd->signer, &keyd->keyring);
}

/* False: a thread would not stop, so what it may use was not freed. */
static bool finish(struct keyd *keyd)
{
    key_changes_close(&keyd->changes);
    server_destroy(&keyd->server); /* withdraws the jobs that no signer has begun */
    scheduler_stop(&keyd->scheduler);
    if (!drivers_stop(&keyd->drivers))
        return false;
    keyring_free(&keyd->keyring);
    drivers_close(&keyd->drivers);
    config_free(&keyd->config);
    return true;
}

/* If a thread hangs in a device's module, exits without the handlers that clean up libcrypto. */
static void end(const struct keyd *keyd, bool stopped)
{
    if (!stopped)
        _exit(keyd->status);
}

static bool serve(struct keyd *keyd)
{
    log_info("ready: %zu keys, %u signer threads, uid %u", keyring_count(&keyd->keyring),
             (unsigned)keyd->config.threads, (unsigned)keyd->identity.uid);
    bool all_answered = server_run(&keyd->server);
    if (!all_answered)
        log_warning("ended with %zu sessions not fully answered", keyd->server.session_count);
    else
        log_info("ended");
    return all_answered;
}

/* Runs on a stack in the arena, because it reads keys. */
static void run(void *arg)
{
    struct keyd *keyd = arg;
    keyd->status = EXIT_FAILURE;
    bool started = start(keyd);
    if (started && keyd->options.test) {
        log_info("%s is good: %zu keys", keyd->options.config, keyring_count(&keyd->keyring));
        keyd->status = EXIT_SUCCESS;
    }
    if (!started || keyd->options.test) {
        keyring_free(&keyd->keyring);
        return;
    }
    keyd->server.prototypes = keyd->prototypes;
    audit_init(&keyd->server.audit, &keyd->server.loop, keyd->config.audit_all);
    if (!open_clients(keyd) || !close_doors(keyd)) {
        end(keyd, drivers_stop(&keyd->drivers));
        return;
    }
    report_log(&keyd->walls);
    if (keyd->options.explain)
        report_print(&keyd->walls);
    if (keyd->options.explain || serve(keyd))
        keyd->status = EXIT_SUCCESS;
    end(keyd, finish(keyd));
}

/* Starts the program again without environment, as a supervisor starts a key process. */
static void forget_environment(char **argv)
{
    char *const no_environment[] = {NULL};
    if (environ[0] != NULL)
        execve("/proc/self/exe", argv, no_environment);
}

int keyd_main(int argc, char **argv, const struct driver *const *prototypes)
{
    static struct keyd keyd;
    log_setup("immured", LOG_LEVEL_INFO, false);
    options_parse(&keyd.options, argc, argv);
    if (!keyd.options.test && !keyd.options.explain)
        log_never_wait();
    bool supervised = keyd.options.listener >= 0 || keyd.options.session >= 0;
    signals_reset(!supervised); /* a supervisor starts this with HUP ignored, and it must stay so */
    if (supervised)
        keyd.supervisor = getppid();
    else if (!keyd.options.test && !keyd.options.explain)
        return supervise(keyd.options.config, prototypes);
    if (keyd.options.explain)
        forget_environment(argv);
    keyd.prototypes = prototypes;
    keyd.files = FILES_INIT;
    keyd.hand_over = -1;
    keyd.starter = getuid();
    if (!begin(&keyd) || !arena_call(ARENA_STACK_LARGE, run, &keyd))
        return EXIT_FAILURE;
    return keyd.status;
}
