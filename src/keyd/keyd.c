/* The story of the process: read all there is to read, close the doors, then serve. */
#include "keyd/keyd.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/slice.h"
#include "keyd/backend/provider.h"
#include "keyd/calibrate.h"
#include "keyd/config.h"
#include "keyd/keyring.h"
#include "keyd/sandbox.h"
#include "keyd/secret_memory.h"
#include "keyd/server.h"
#include "keyd/supervise.h"
#include "keyd/warm_up.h"

#define EXIT_USAGE 2
#define SHORT_SLICE (100 * NS_PER_US)
#define MORE_CALLS_MAX 256

struct options {
    const char *config;
    bool test, explain;
    int listener, session; /* inherited descriptors; -1: none */
};

/* What the process has one of. */
struct keyd {
    struct options options;
    const struct backend *const *backends;
    struct report walls;
    struct arena arena;
    struct config config;
    struct providers providers;
    struct kinds kinds;
    struct keyring keyring;
    struct signer signer; /* the event loop's */
    struct scheduler scheduler;
    struct server server;
    pid_t supervisor;   /* 0: none */
    uid_t starter, uid; /* who started it, and what it is in the end */
    int status;
};

static const char usage[] =
    "usage: immured --config FILE [--test] [--listen-fd N] [--session-fd N]\n"
    "       immured --config FILE --explain-sandbox\n"
    "       immured --directives | --help | --version\n"
    "\n"
    "Keeps private keys and signs TLS handshakes with them. See immured.conf(5).\n"
    "\n"
    "  --config FILE      read the configuration from FILE; read it again after HUP\n"
    "  --test             check the configuration and the keys, then end\n"
    "  --explain-sandbox  start, say what walls the key process has, then end\n"
    "  --listen-fd N      accept clients on this listening unix stream socket\n"
    "  --session-fd N     this connected unix stream socket is the first client\n"
    "  --directives       print the table of directives\n";

enum option_number {
    OPTION_CONFIG = 1,
    OPTION_TEST,
    OPTION_EXPLAIN,
    OPTION_LISTEN,
    OPTION_SESSION,
    OPTION_DIRECTIVES,
    OPTION_HELP,
    OPTION_VERSION
};
static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"test", no_argument, NULL, OPTION_TEST},
    {"explain-sandbox", no_argument, NULL, OPTION_EXPLAIN},
    {"listen-fd", required_argument, NULL, OPTION_LISTEN},
    {"session-fd", required_argument, NULL, OPTION_SESSION},
    {"directives", no_argument, NULL, OPTION_DIRECTIVES},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int parse_descriptor(const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno == 0 && *end == '\0' && number > STDERR_FILENO && number <= INT32_MAX)
        return (int)number;
    fprintf(stderr, "immured: %s is not the number of an inherited descriptor\n", text);
    exit(EXIT_USAGE);
}

/* Ends the program for all options but those of a run; getopt_long() has said what is wrong. */
static void parse_options(int argc, char **argv, struct options *options)
{
    *options = (struct options){.listener = -1, .session = -1};
    for (int number; (number = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (number) {
        case OPTION_CONFIG:
            options->config = optarg;
            break;
        case OPTION_TEST:
            options->test = true;
            break;
        case OPTION_EXPLAIN:
            options->explain = true;
            break;
        case OPTION_LISTEN:
            options->listener = parse_descriptor(optarg);
            break;
        case OPTION_SESSION:
            options->session = parse_descriptor(optarg);
            break;
        case OPTION_DIRECTIVES:
            config_print_directives(stdout);
            exit(EXIT_SUCCESS);
        case OPTION_HELP:
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        case OPTION_VERSION:
            printf("immured " IMMURE_VERSION ", %s\n", OpenSSL_version(OPENSSL_VERSION));
            exit(EXIT_SUCCESS);
        default:
            exit(EXIT_USAGE);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument '%s'\n", argv[0], argv[optind]);
        exit(EXIT_USAGE);
    }
    if (options->config == NULL) {
        fprintf(stderr, "%s: --config FILE is needed; --help tells more\n", argv[0]);
        exit(EXIT_USAGE);
    }
}

/* NULL: auto. */
static const struct backend *find_backend(const struct keyd *keyd, const char *name)
{
    const struct backend *const *backend = keyd->kinds.backends;
    while (*backend != NULL && strcmp((*backend)->name, name) != 0)
        backend++;
    return *backend;
}

/* What cannot serve here is not used; a key that asks for it is refused. */
static void open_backends(struct keyd *keyd)
{
    char reason[256];
    for (const struct backend *const *place = keyd->kinds.backends; *place != NULL; place++)
        if ((*place)->open != NULL && !(*place)->open(&keyd->config, reason, sizeof reason))
            log_info("backend %s: %s", (*place)->name, reason);
}

static bool restrict_key(struct key *key, const struct key_config *config)
{
    char where[512];
    snprintf(where, sizeof where, "%s: key \"%s\"", config->location, config->name);
    key->rate = config->rate;
    return allow_resolve(&key->allow, &config->allow, where);
}

static bool load_key(struct keyd *keyd, const struct key_config *config)
{
    struct key_source source = {.name = config->name,
                                .location = config->location,
                                .file = config->file,
                                .uri = config->uri,
                                .pass_phrase_file = config->pass_phrase_file,
                                .policy = config->policy,
                                .decrypt = config->decrypt};
    char reason[512];
    const char *backend = config->backend != NULL ? config->backend : keyd->config.backend;
    source.device = providers_find_device(&keyd->providers, backend);
    struct key *key = key_load(&source, reason, sizeof reason);
    if (key == NULL ||
        !kinds_add_key(&keyd->kinds, key, find_backend(keyd, backend), reason, sizeof reason)) {
        key_free(key);
        log_error("%s: key \"%s\": %s", config->location, config->name, reason);
        return false;
    }
    if (!restrict_key(key, config)) {
        key_free(key);
        return false;
    }
    switch (keyring_add(&keyd->keyring, key)) {
    case KEYRING_ADDED:
        if (config->policy == POLICY_ANY)
            log_warning("%s: key \"%s\" signs any message (policy = any)", config->location,
                        config->name);
        return true;
    case KEYRING_KNOWN:
        log_warning("%s: key \"%s\" is the same key as one before it, whose name and policy hold",
                    config->location, config->name);
        return true;
    default:
        log_error("%s: key \"%s\": out of memory", config->location, config->name);
        return false;
    }
}

/* All of them, so that one run shows every mistake. */
static bool load_keys(struct keyd *keyd)
{
    bool good = true;
    for (size_t i = 0; i < keyd->config.key_count; i++)
        good &= load_key(keyd, &keyd->config.keys[i]);
    return good;
}

static bool open_clients(struct keyd *keyd)
{
    const struct options *options = &keyd->options;
    return (options->listener < 0 || server_listen(&keyd->server, options->listener)) &&
           (options->session < 0 || server_connected(&keyd->server, options->session));
}

/*
 * Where immured yields, a thread that wakes does not take the core from whom it finds there:
 * otherwise an event loop that asks for a signature would be cut off in the middle of its turn, and
 * wait for the kernel's next tick. Elsewhere clients wait for it, and it does not wait for its own
 * signers. Those yield still more, see crew.h.
 */
static void weigh(bool yield)
{
    if (yield)
        sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    else
        slice_set(SHORT_SLICE);
}

/* Whether others than the client that it was started for may come. */
static bool accepts(const struct keyd *keyd)
{
    return keyd->options.listener >= 0 || keyd->options.explain;
}

/* On an ordinary stack: there is no key yet. */
static bool begin(struct keyd *keyd)
{
    const int keep[] = {keyd->options.listener, keyd->options.session};
    if (!config_load(&keyd->config, keyd->options.config, keyd->backends))
        return false;
    const struct config *config = &keyd->config;
    log_setup("immured", (enum log_level)config->log_level, config->log_json);
    weigh(config->yield); /* inherited by every thread */
    return sandbox_begin(keep, sizeof keep / sizeof keep[0], accepts(keyd), &keyd->walls) &&
           secret_memory_open(config, &keyd->arena, &keyd->walls);
}

static bool start(struct keyd *keyd)
{
    const struct config *config = &keyd->config;
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    if (!providers_open(&keyd->providers, config, keyd->backends))
        return false;
    keyd->kinds.backends = keyd->providers.backends;
    open_backends(keyd);
    return load_keys(keyd) &&
           server_init(&keyd->server, config, &keyd->keyring, &keyd->scheduler, keyd->starter,
                       keyd->supervisor != 0) &&
           tickets_open(&keyd->server.tickets, config) &&
           allow_resolve(&keyd->server.allow, &config->allow, keyd->options.config);
}

static bool listed(const int *calls, size_t count, int call)
{
    while (count > 0 && calls[count - 1] != call)
        count--;
    return count > 0;
}

/* The system calls of the backends that keys use. */
static void gather_calls(const struct kinds *kinds, int *calls, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < kinds->count; i++) {
        const int *more = kinds->kinds[i].single->more_calls;
        for (; more != NULL && *more != -1 && count + 1 < room; more++)
            if (!listed(calls, count, *more))
                calls[count++] = *more;
    }
    calls[count] = -1;
}

static bool prepare_signing(struct keyd *keyd)
{
    const struct config *config = &keyd->config;
    const struct backend *const *backends = keyd->kinds.backends;
    struct scheduler *scheduler = &keyd->scheduler;
    unsigned threads = (unsigned)config->threads;
    if (!signer_init(&keyd->signer, backends) || !providers_start(&keyd->providers) ||
        !calibrate(&keyd->kinds, &keyd->keyring, &keyd->signer))
        return false;
    scheduler->signer = &keyd->signer;
    scheduler->crew = crew_start(backends, threads, config->yield);
    queue_init(&scheduler->queue, &keyd->kinds, config->queue_age, threads, config->hold);
    return scheduler->crew != NULL && warm_up(scheduler->crew, &keyd->keyring);
}

static bool close_doors(struct keyd *keyd)
{
    int more_calls[MORE_CALLS_MAX];
    gather_calls(&keyd->kinds, more_calls, MORE_CALLS_MAX);
    struct identity identity;
    unsigned threads = (unsigned)keyd->config.threads + 2; /* the express one, and this */
    if (!sandbox_find_user(keyd->config.user, &identity) ||
        !sandbox_isolate(threads, more_calls, &keyd->walls) || !prepare_signing(keyd) ||
        !sandbox_become(&identity, keyd->supervisor, &keyd->walls))
        return false;
    keyd->uid = identity.uid;
    return sandbox_close(accepts(keyd), more_calls, &keyd->arena, &keyd->walls) &&
           providers_try(&keyd->signer, keyd->keyring.keys, keyd->keyring.count);
}

/* False: what is used by a thread that would not stop is still there. */
static bool finish(struct keyd *keyd)
{
    server_destroy(&keyd->server); /* takes back what signers have not begun */
    scheduler_stop(&keyd->scheduler);
    if (!providers_stop(&keyd->providers))
        return false;
    keyring_free(&keyd->keyring);
    providers_free(&keyd->providers);
    config_free(&keyd->config);
    return true;
}

/* A thread that hangs in the module of a device must not find libcrypto cleaned up. */
static void end(const struct keyd *keyd, bool stopped)
{
    if (!stopped)
        _exit(keyd->status);
}

static bool serve(struct keyd *keyd)
{
    log_info("ready: %zu keys, %u signer threads, uid %u", keyd->keyring.count,
             (unsigned)keyd->config.threads, (unsigned)keyd->uid);
    bool all_answered = server_run(&keyd->server);
    if (!all_answered)
        log_warning("ended with %zu sessions not fully answered", keyd->server.session_count);
    else
        log_info("ended");
    return all_answered;
}

/* On a stack in the arena, from before the first key is read. */
static void run(void *arg)
{
    struct keyd *keyd = arg;
    keyd->status = EXIT_FAILURE;
    bool started = start(keyd);
    struct identity identity;
    if (started && keyd->options.test && sandbox_find_user(keyd->config.user, &identity)) {
        log_info("%s is good: %zu keys", keyd->options.config, keyd->keyring.count);
        keyd->status = EXIT_SUCCESS;
    }
    if (!started || keyd->options.test) {
        keyring_free(&keyd->keyring);
        return;
    }
    audit_init(&keyd->server.audit, keyd->config.audit_all);
    if (!open_clients(keyd) || !close_doors(keyd)) {
        end(keyd, providers_stop(&keyd->providers));
        return;
    }
    report_log(&keyd->walls);
    if (keyd->options.explain)
        report_print(&keyd->walls);
    if (keyd->options.explain || serve(keyd))
        keyd->status = EXIT_SUCCESS;
    end(keyd, finish(keyd));
}

/* As a supervisor starts a key process. */
static void forget_environment(char **argv)
{
    char *const no_environment[] = {NULL};
    if (environ[0] != NULL)
        execve("/proc/self/exe", argv, no_environment);
}

int keyd_main(int argc, char **argv, const struct backend *const *backends)
{
    static struct keyd keyd;
    log_setup("immured", LOG_LEVEL_INFO, false);
    parse_options(argc, argv, &keyd.options);
    if (!keyd.options.test && !keyd.options.explain)
        log_never_wait();
    if (keyd.options.listener >= 0 || keyd.options.session >= 0)
        keyd.supervisor = getppid();
    else if (!keyd.options.test && !keyd.options.explain)
        return supervise(keyd.options.config, backends);
    if (keyd.options.explain)
        forget_environment(argv);
    keyd.backends = backends;
    keyd.starter = getuid();
    if (!begin(&keyd) || !arena_call(ARENA_STACK_LARGE, run, &keyd))
        return EXIT_FAILURE;
    return keyd.status;
}
