#include "storm/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum option_type {
    OPTION_RATE,    /* double */
    OPTION_COUNT,   /* unsigned */
    OPTION_SECONDS, /* uint64_t ns */
    OPTION_TEXT,    /* const char * */
    OPTION_FLAG,    /* bool */
    OPTION_TLS,     /* tls_min and tls_max */
    OPTION_CLOSE,   /* bool: notify or reset */
    OPTION_PIDS
};

struct option_rule {
    const char *name;
    enum option_type type;
    size_t offset;
    double least, most; /* of numbers */
    const char *argument, *text;
};

#define FIELD(member) offsetof(struct options, member)

static const struct option_rule rules[] = {
    {"rate", OPTION_RATE, FIELD(rate), 0.01, 1e6, "R",
     "open loop: R handshakes started per second, Poisson arrivals"},
    {"concurrency", OPTION_COUNT, FIELD(concurrency), 1, 100000, "N",
     "closed loop: N connections at a time (default 16 unless --rate or --probes)"},
    {"max-open", OPTION_COUNT, FIELD(max_open), 1, 1000000, "N",
     "open loop: at most N connections at a time (10000); later ones wait, and the wait is "
     "measured"},
    {"threads", OPTION_COUNT, FIELD(threads), 1, 256, "N", "storm threads (1)"},
    {"duration", OPTION_SECONDS, FIELD(duration), 0.1, 1e6, "S", "measured seconds (10)"},
    {"warmup", OPTION_SECONDS, FIELD(warmup), 0, 1e6, "S", "seconds of warm-up, not measured (1)"},
    {"request", OPTION_TEXT, FIELD(request), 0, 0, "PATH",
     "GET PATH after each handshake, with Connection: close"},
    {"resume", OPTION_FLAG, FIELD(resume), 0, 0, NULL, "resumed handshakes, by session ticket"},
    {"close", OPTION_CLOSE, FIELD(close_by_reset), 0, 0, "notify|reset",
     "how connections end (notify: close_notify, FIN, and wait for the server's end)"},
    {"tls", OPTION_TLS, 0, 0, 0, "1.2|1.3|any", "protocol version (any)"},
    {"groups", OPTION_TEXT, FIELD(groups), 0, 0, "LIST",
     "key exchange groups (X25519:P-256:P-384:P-521)"},
    {"sigalgs", OPTION_TEXT, FIELD(sigalgs), 0, 0, "LIST", "signature algorithms accepted"},
    {"ciphersuites", OPTION_TEXT, FIELD(ciphersuites), 0, 0, "LIST", "cipher suites of TLS 1.3"},
    {"ciphers", OPTION_TEXT, FIELD(ciphers), 0, 0, "LIST", "cipher suites of TLS 1.2"},
    {"alpn", OPTION_TEXT, FIELD(alpn), 0, 0, "NAME", "one application protocol to offer"},
    {"server-name", OPTION_TEXT, FIELD(server_name), 0, 0, "NAME",
     "SNI, and the name to verify (HOST, if it is a name)"},
    {"verify", OPTION_TEXT, FIELD(verify), 0, 0, "FILE",
     "verify certificates against these CA certificates (default: no verification)"},
    {"unchecked", OPTION_FLAG, FIELD(unchecked), 0, 0, NULL,
     "do not verify the handshake's signature either, which makes the storm faster"},
    {"connect-timeout", OPTION_SECONDS, FIELD(connect_timeout), 0.001, 3600, "S", "(5)"},
    {"handshake-timeout", OPTION_SECONDS, FIELD(handshake_timeout), 0.001, 3600, "S",
     "from TCP connection to Finished; the same again for a reply (10)"},
    {"probes", OPTION_COUNT, FIELD(probes), 1, 100000, "N",
     "N established connections that send requests on schedule"},
    {"probe-rate", OPTION_RATE, FIELD(probe_rate), 0.01, 1e5, "R",
     "requests per second on each of them (10)"},
    {"probe-request", OPTION_TEXT, FIELD(probe_request), 0, 0, "PATH",
     "the path that probes GET (/)"},
    {"probe-plain", OPTION_COUNT, FIELD(probe_plain), 1, 16384, "BYTES",
     "no HTTP: send BYTES to an echo server"},
    {"probe-timeout", OPTION_SECONDS, FIELD(probe_timeout), 0.001, 3600, "S",
     "a request without a reply for S seconds is lost (5)"},
    {"cost", OPTION_PIDS, 0, 0, 0, "PID[,PID]",
     "CPU time of these processes and their descendants, per handshake"},
    {"json", OPTION_TEXT, FIELD(json), 0, 0, "FILE",
     "one line per second and a summary (-: stdout)"},
    {"seed", OPTION_COUNT, FIELD(seed), 0, UINT_MAX, "N", "seed of the arrivals (1)"},
};
#define RULE_COUNT (sizeof rules / sizeof rules[0])

static void print_help(FILE *out)
{
    fputs("immure-storm HOST:PORT [options]: TLS handshake storms and probes, measured\n\n", out);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", rules[i].name,
                 rules[i].argument ? rules[i].argument : "");
        fprintf(out, "  %-27s %s\n", left, rules[i].text);
    }
    fputs("  --help, --version\n", out);
}

static bool parse_number(const struct option_rule *rule, const char *text, double *value)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return end != text && *end == 0 && errno == 0 && isfinite(*value) && *value >= rule->least &&
           *value <= rule->most;
}

static bool parse_pids(struct options *options, const char *text)
{
    options->cost_count = 0;
    for (const char *next = text;; next++) {
        char *end;
        errno = 0;
        long pid = strtol(next, &end, 10);
        if (end == next || errno != 0 || pid < 1 || pid > INT_MAX ||
            options->cost_count == OPTIONS_COST_MAX)
            return false;
        options->cost[options->cost_count++] = (pid_t)pid;
        if (*end == 0)
            return true;
        if (*end != ',')
            return false;
        next = end;
    }
}

static bool parse_tls(struct options *options, const char *text)
{
    options->tls_min = strcmp(text, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    options->tls_max = strcmp(text, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    return strcmp(text, "1.2") == 0 || strcmp(text, "1.3") == 0 || strcmp(text, "any") == 0;
}

static bool set(struct options *options, const struct option_rule *rule, const char *text)
{
    char *field = (char *)options + rule->offset;
    double number;
    switch (rule->type) {
    case OPTION_RATE:
        return parse_number(rule, text, (double *)(void *)field);
    case OPTION_COUNT:
        if (!parse_number(rule, text, &number) || number != floor(number))
            return false;
        *(unsigned *)(void *)field = (unsigned)number;
        return true;
    case OPTION_SECONDS:
        if (!parse_number(rule, text, &number))
            return false;
        *(uint64_t *)(void *)field = (uint64_t)(number * (double)NS_PER_S);
        return true;
    case OPTION_TEXT:
        *(const char **)(void *)field = text;
        return *text != 0;
    case OPTION_FLAG:
        *(bool *)(void *)field = true;
        return true;
    case OPTION_TLS:
        return parse_tls(options, text);
    case OPTION_CLOSE:
        *(bool *)(void *)field = strcmp(text, "reset") == 0;
        return strcmp(text, "reset") == 0 || strcmp(text, "notify") == 0;
    case OPTION_PIDS:
        return parse_pids(options, text);
    }
    return false;
}

/* "host:port" or "[address]:port"; cuts the text in place. */
static bool parse_target(struct options *options, char *text)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == 0)
        return false;
    bool bracketed = text[0] == '[';
    if (bracketed ? colon[-1] != ']' || colon - text < 3
                  : memchr(text, ':', (size_t)(colon - text)) != NULL)
        return false;
    colon[bracketed ? -1 : 0] = 0;
    options->host = text + (bracketed ? 1 : 0);
    options->port = colon + 1;
    return true;
}

static const char *contradiction(const struct options *options)
{
    if (options->rate > 0 && options->concurrency > 0)
        return "--rate (open loop) and --concurrency (closed loop) exclude each other";
    if (options->resume && options->rate == 0 && options->concurrency == 0)
        return "--resume needs a storm: --rate or --concurrency";
    if (options->unchecked && options->verify)
        return "--verify and --unchecked exclude each other";
    if (options->request && options->request[0] != '/')
        return "--request: a path begins with /";
    if (options->probe_request[0] != '/')
        return "--probe-request: a path begins with /";
    if (options->alpn && strlen(options->alpn) > 255)
        return "--alpn: longer than 255 characters";
    return NULL;
}

static void set_defaults(struct options *options)
{
    *options = (struct options){.threads = 1,
                                .max_open = 10000,
                                .probe_rate = 10,
                                .probe_request = "/",
                                .probe_timeout = 5 * NS_PER_S,
                                .tls_min = TLS1_2_VERSION,
                                .tls_max = TLS1_3_VERSION,
                                .groups = "X25519:P-256:P-384:P-521",
                                .connect_timeout = 5 * NS_PER_S,
                                .handshake_timeout = 10 * NS_PER_S,
                                .duration = 10 * NS_PER_S,
                                .warmup = 1 * NS_PER_S,
                                .seed = 1};
}

enum options_result options_parse(struct options *options, int argc, char **argv, FILE *out,
                                  FILE *err)
{
    enum { HELP = RULE_COUNT, VERSION };
    struct option table[RULE_COUNT + 3] = {[HELP] = {"help", no_argument, NULL, HELP},
                                           [VERSION] = {"version", no_argument, NULL, VERSION}};
    for (size_t i = 0; i < RULE_COUNT; i++)
        table[i] = (struct option){
            rules[i].name, rules[i].argument ? required_argument : no_argument, NULL, (int)i};

    set_defaults(options);
    optind = 0;
    opterr = 0;
    for (int chosen; (chosen = getopt_long(argc, argv, ":", table, NULL)) != -1;) {
        if (chosen == HELP) {
            print_help(out);
            return OPTIONS_DONE;
        }
        if (chosen == VERSION) {
            fputs("immure-storm " IMMURE_VERSION "\n", out);
            return OPTIONS_DONE;
        }
        if (chosen == '?' || chosen == ':') {
            fprintf(err, "immure-storm: %s: %s\n", argv[optind - 1],
                    chosen == ':' ? "an argument is missing" : "no such option (see --help)");
            return OPTIONS_BAD;
        }
        if (!set(options, &rules[chosen], optarg)) {
            fprintf(err, "immure-storm: --%s: \"%s\" is not a valid %s\n", rules[chosen].name,
                    optarg, rules[chosen].argument);
            return OPTIONS_BAD;
        }
    }
    if (optind + 1 != argc) {
        fprintf(err, "immure-storm: one target HOST:PORT is needed (see --help)\n");
        return OPTIONS_BAD;
    }
    if (!parse_target(options, argv[optind])) {
        fprintf(err, "immure-storm: \"%s\" is not HOST:PORT\n", argv[optind]);
        return OPTIONS_BAD;
    }
    const char *wrong = contradiction(options);
    if (wrong) {
        fprintf(err, "immure-storm: %s\n", wrong);
        return OPTIONS_BAD;
    }
    if (options->rate == 0 && options->concurrency == 0 && options->probes == 0)
        options->concurrency = 16;
    return OPTIONS_RUN;
}
