/* The story of the process: read all there is to read, close the doors, then serve. */
#include "keyd/keyd.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "keyd/config.h"
#include "keyd/keyring.h"
#include "keyd/listen.h"
#include "keyd/queue.h"
#include "keyd/sandbox.h"
#include "keyd/server.h"
#include "keyd/signer.h"

#define EXIT_USAGE 2
#define NICE 15

struct options {
    const char *config;
    bool test;
    int listener, session; /* inherited descriptors; -1: none */
};

/* What the process has one of. */
struct keyd {
    struct options options;
    struct config config;
    struct keyring keyring;
    struct queue queue;
    struct signers *signers;
    struct server server;
    pid_t supervisor; /* 0: none */
    uid_t uid;        /* in the end */
};

static const char usage[] =
    "usage: immured --config FILE [--test] [--listen-fd N] [--session-fd N]\n"
    "       immured --directives | --help | --version\n"
    "\n"
    "Keeps private keys and signs TLS handshakes with them. See immured.conf(5).\n"
    "\n"
    "  --config FILE    read the configuration from FILE\n"
    "  --test           check the configuration and the keys, then end\n"
    "  --listen-fd N    accept clients on this listening unix stream socket too\n"
    "  --session-fd N   this connected unix stream socket is the first client\n"
    "  --directives     print the table of directives\n";

enum option_number {
    OPTION_CONFIG = 1,
    OPTION_TEST,
    OPTION_LISTEN,
    OPTION_SESSION,
    OPTION_DIRECTIVES,
    OPTION_HELP,
    OPTION_VERSION
};
static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"test", no_argument, NULL, OPTION_TEST},
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
            fputs(usage, stderr);
            exit(EXIT_USAGE);
        }
    }
    if (options->config == NULL || optind != argc) {
        fputs(usage, stderr);
        exit(EXIT_USAGE);
    }
}

static bool load_key(struct keyring *keyring, const struct key_config *config)
{
    struct key_source source = {.name = config->name,
                                .location = config->location,
                                .file = config->file,
                                .pass_phrase_file = config->pass_phrase_file,
                                .policy = config->policy};
    char reason[512];
    struct key *key = key_load(&source, reason, sizeof reason);
    if (key == NULL) {
        log_error("%s: key \"%s\": %s", config->location, config->name, reason);
        return false;
    }
    switch (keyring_add(keyring, key)) {
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
        good &= load_key(&keyd->keyring, &keyd->config.keys[i]);
    return good;
}

/* Names to numbers, while there is a password database. */
static bool resolve_allowed(struct keyd *keyd)
{
    struct server *server = &keyd->server;
    const struct config *config = &keyd->config;
    server->allowed = calloc(config->allow_user_count + 1, sizeof(uid_t));
    for (size_t i = 0; server->allowed != NULL && i < config->allow_user_count; i++) {
        const char *user = config->allow_users[i];
        char *end;
        unsigned long number = strtoul(user, &end, 10);
        const struct passwd *entry = *end != '\0' ? getpwnam(user) : NULL;
        if (entry == NULL && (*end != '\0' || number >= (uid_t)-1)) {
            log_error("%s: allow-users: no such user: %s", keyd->options.config, user);
            return false;
        }
        server->allowed[server->allowed_count++] = entry != NULL ? entry->pw_uid : (uid_t)number;
    }
    return server->allowed != NULL;
}

static bool open_clients(struct keyd *keyd)
{
    const struct config *config = &keyd->config;
    struct server *server = &keyd->server;
    if (config->listen != NULL) {
        int listener = listen_unix(config->listen, config->allow_user_count > 0);
        if (listener < 0 || !server_listen(server, listener))
            return false;
    }
    if (keyd->options.listener >= 0 && !server_listen(server, keyd->options.listener))
        return false;
    if (keyd->options.session >= 0 && !server_connected(server, keyd->options.session))
        return false;
    if (server->listener_count > 0 || server->session_count > 0)
        return true;
    log_error("%s: neither listen nor an inherited descriptor: nobody could ask for a signature",
              keyd->options.config);
    return false;
}

/*
 * Event loops first, for all threads of immured alike. A batch thread that wakes does not take the
 * core from whom it finds there: otherwise an event loop that asks for a signature would be cut off
 * in the middle of its turn, and wait for the kernel's next tick. And where both want to run, the
 * loop gets nearly thirty times as much; what loops leave is all immured's.
 */
static void yield_to_event_loops(void)
{
    sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    setpriority(PRIO_PROCESS, 0, NICE);
}

static bool start(struct keyd *keyd, const struct backend *const *backends)
{
    const int keep[] = {keyd->options.listener, keyd->options.session};
    uid_t starter = getuid();
    yield_to_event_loops(); /* inherited by every thread */
    if (!config_load(&keyd->config, keyd->options.config, backends))
        return false;
    const struct config *config = &keyd->config;
    log_setup("immured", (enum log_level)config->log_level, config->log_json);
    return sandbox_begin(keep, sizeof keep / sizeof keep[0]) && load_keys(keyd) &&
           queue_init(&keyd->queue, config->backend->width) &&
           server_init(&keyd->server, config, &keyd->keyring, &keyd->queue, starter,
                       keyd->supervisor != 0) &&
           resolve_allowed(keyd);
}

static bool close_doors(struct keyd *keyd)
{
    const struct config *config = &keyd->config;
    keyd->signers = signers_start(&keyd->queue, config->backend, (unsigned)config->threads);
    if (keyd->signers == NULL || !signers_warm_up(&keyd->queue, &keyd->keyring) ||
        !sandbox_drop_user(config->user, keyd->supervisor))
        return false;
    keyd->uid = getuid();
    return sandbox_close(keyd->server.listener_count > 0, config->backend->more_calls);
}

static void finish(struct keyd *keyd)
{
    server_destroy(&keyd->server); /* takes back what signers have not begun */
    signers_stop(keyd->signers);
    queue_destroy(&keyd->queue);
    keyring_free(&keyd->keyring);
    config_free(&keyd->config);
}

int keyd_main(int argc, char **argv, const struct backend *const *backends)
{
    static struct keyd keyd;
    log_setup("immured", LOG_LEVEL_INFO, false);
    parse_options(argc, argv, &keyd.options);
    if (keyd.options.listener >= 0 || keyd.options.session >= 0)
        keyd.supervisor = getppid();
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    if (!start(&keyd, backends))
        return EXIT_FAILURE;
    if (keyd.options.test) {
        log_info("%s is good: %zu keys", keyd.options.config, keyd.keyring.count);
        return EXIT_SUCCESS;
    }
    if (!open_clients(&keyd) || !close_doors(&keyd))
        return EXIT_FAILURE;
    log_info("ready: %zu keys, %u signer threads and one express, backend %s, uid %u",
             keyd.keyring.count, (unsigned)keyd.config.threads, keyd.config.backend->name,
             (unsigned)keyd.uid);
    bool all_answered = server_run(&keyd.server);
    if (!all_answered)
        log_warning("ended with %zu sessions not fully answered", keyd.server.session_count);
    else
        log_info("ended");
    finish(&keyd);
    return all_answered ? EXIT_SUCCESS : EXIT_FAILURE;
}
