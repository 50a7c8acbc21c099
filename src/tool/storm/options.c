#include "storm/options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/command_line.h"

static bool parse_number(const struct option_row *row, const char *text, double *value)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return end != text && *end == 0 && errno == 0 && isfinite(*value) && *value >= row->least &&
           *value <= row->most;
}

static bool store_rate(const struct option_row *row, const char *argument, void *field)
{
    return parse_number(row, argument, field);
}

static bool store_count(const struct option_row *row, const char *argument, void *field)
{
    double number;
    if (!parse_number(row, argument, &number) || number != floor(number))
        return false;
    *(unsigned *)field = (unsigned)number;
    return true;
}

static bool store_seconds(const struct option_row *row, const char *argument, void *field)
{
    double number;
    if (!parse_number(row, argument, &number))
        return false;
    *(uint64_t *)field = (uint64_t)(number * (double)NS_PER_S);
    return true;
}

static bool store_close(const struct option_row *row, const char *argument, void *field)
{
    (void)row;
    *(bool *)field = strcmp(argument, "reset") == 0;
    return strcmp(argument, "reset") == 0 || strcmp(argument, "notify") == 0;
}

static bool store_cost(const struct option_row *row, const char *argument, void *field)
{
    (void)row;
    struct storm_options *options = field;
    options->cost_count = 0;
    for (const char *next = argument;; next++) {
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

static bool store_tls(const struct option_row *row, const char *argument, void *field)
{
    (void)row;
    struct storm_options *options = field;
    options->tls_min = strcmp(argument, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    options->tls_max = strcmp(argument, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    return strcmp(argument, "1.2") == 0 || strcmp(argument, "1.3") == 0 ||
           strcmp(argument, "any") == 0;
}

static const struct option_row rows[] = {
    {"rate", "R", store_rate, OPTION_FIELD(struct storm_options, rate), .least = 0.01, .most = 1e6,
     .text = "open loop: R handshakes started per second, Poisson arrivals"},
    {"concurrency", "N", store_count, OPTION_FIELD(struct storm_options, concurrency), .least = 1,
     .most = 100000,
     .text = "closed loop: N connections at a time (default 16 unless --rate or --probes)"},
    {"max-open", "N", store_count, OPTION_FIELD(struct storm_options, max_open), .least = 1,
     .most = 1000000,
     .text = "open loop: at most N connections at a time (10000); later ones wait, on the clock"},
    {"threads", "N", store_count, OPTION_FIELD(struct storm_options, threads), .least = 1,
     .most = 256, .text = "storm threads (1)"},
    {"duration", "S", store_seconds, OPTION_FIELD(struct storm_options, duration), .least = 0.1,
     .most = 1e6, .text = "measured seconds (10)"},
    {"warmup", "S", store_seconds, OPTION_FIELD(struct storm_options, warmup), .least = 0,
     .most = 1e6, .text = "seconds before, not measured (1)"},
    {"request", "PATH", option_text, OPTION_FIELD(struct storm_options, request),
     .text = "GET PATH after each handshake, with Connection: close"},
    {"resume", NULL, option_flag, OPTION_FIELD(struct storm_options, resume),
     .text = "resumed handshakes, by session ticket"},
    {"close", "notify|reset", store_close, OPTION_FIELD(struct storm_options, close_by_reset),
     .text = "how connections end (notify: close_notify, FIN, and wait for the server's end)"},
    {"tls", "1.2|1.3|any", store_tls, .text = "protocol version (any)"},
    {"groups", "LIST", option_text, OPTION_FIELD(struct storm_options, groups),
     .text = "key exchange groups (X25519:P-256:P-384:P-521)"},
    {"sigalgs", "LIST", option_text, OPTION_FIELD(struct storm_options, sigalgs),
     .text = "signature algorithms accepted"},
    {"ciphersuites", "LIST", option_text, OPTION_FIELD(struct storm_options, ciphersuites),
     .text = "of TLS 1.3"},
    {"ciphers", "LIST", option_text, OPTION_FIELD(struct storm_options, ciphers),
     .text = "of TLS 1.2"},
    {"alpn", "NAME", option_text, OPTION_FIELD(struct storm_options, alpn),
     .text = "one application protocol to offer"},
    {"server-name", "NAME", option_text, OPTION_FIELD(struct storm_options, server_name),
     .text = "SNI, and the name to verify (HOST, if it is a name)"},
    {"names", "FILE", option_text, OPTION_FIELD(struct storm_options, names),
     .text = "in place of one name those of FILE, one a line: each connection takes the next"},
    {"sources", "N", store_count, OPTION_FIELD(struct storm_options, sources), .least = 1,
     .most = 1000000, .text = "come from N addresses, if the target is in 127.0.0.0/8 (all of it)"},
    {"verify", "FILE", option_text, OPTION_FIELD(struct storm_options, verify),
     .text = "verify certificates against these CA certificates (default: no verification)"},
    {"unchecked", NULL, option_flag, OPTION_FIELD(struct storm_options, unchecked),
     .text =
         "the storm does not check the handshake's signature either, and makes more handshakes"},
    {"connect-timeout", "S", store_seconds, OPTION_FIELD(struct storm_options, connect_timeout),
     .least = 0.001, .most = 3600, .text = "(5)"},
    {"handshake-timeout", "S", store_seconds, OPTION_FIELD(struct storm_options, handshake_timeout),
     .least = 0.001, .most = 3600,
     .text = "from the connection on; the same again for a reply (10)"},
    {"probes", "N", store_count, OPTION_FIELD(struct storm_options, probes), .least = 1,
     .most = 100000, .text = "N established connections that ask on schedule"},
    {"probe-rate", "R", store_rate, OPTION_FIELD(struct storm_options, probe_rate), .least = 0.01,
     .most = 1e5, .text = "requests per second on each of them (10)"},
    {"probe-request", "PATH", option_text, OPTION_FIELD(struct storm_options, probe_request),
     .text = "what they GET (/)"},
    {"probe-plain", "BYTES", store_count, OPTION_FIELD(struct storm_options, probe_plain),
     .least = 1, .most = 16384, .text = "no HTTP: send BYTES to an echo server"},
    {"probe-timeout", "S", store_seconds, OPTION_FIELD(struct storm_options, probe_timeout),
     .least = 0.001, .most = 3600, .text = "a request without answer for so long is lost (5)"},
    {"cost", "PID[,PID]", store_cost,
     .text = "CPU time of these processes and their descendants, per handshake"},
    {"json", "FILE", option_text, OPTION_FIELD(struct storm_options, json),
     .text = "one line a second and a summary (-: stdout)"},
    {"seed", "N", store_count, OPTION_FIELD(struct storm_options, seed), .least = 0,
     .most = UINT_MAX, .text = "of the arrivals (1)"},
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

/* "host:port" or "[address]:port"; cuts the text in place. */
static bool parse_target(struct storm_options *options, char *text)
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

static const char *contradiction(const struct storm_options *options)
{
    if (options->rate > 0 && options->concurrency > 0)
        return "--rate (open loop) and --concurrency (closed loop) exclude each other";
    if (options->resume && options->rate == 0 && options->concurrency == 0)
        return "--resume needs a storm: --rate or --concurrency";
    if (options->names && (options->server_name || options->resume))
        return "--names goes with neither --server-name nor --resume";
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

static void set_defaults(struct storm_options *options)
{
    *options = (struct storm_options){.threads = 1,
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

enum options_result options_parse(struct storm_options *options, int argc, char **argv, FILE *out,
                                  FILE *err)
{
    struct command_line line = {.rows = rows, .count = ROW_COUNT};
    set_defaults(options);
    switch (command_line_parse(&line, argc, argv, options)) {
    case COMMAND_LINE_HELP:
        fputs("immure-storm HOST:PORT [options]: TLS handshake storms and probes, measured\n\n",
              out);
        command_line_print(&line, 0, out);
        fputs("  --version\n", out);
        return OPTIONS_DONE;
    case COMMAND_LINE_VERSION:
        fputs("immure-storm " IMMURE_VERSION "\n", out);
        return OPTIONS_DONE;
    case COMMAND_LINE_WRONG:
        fprintf(err, "immure-storm: %s (see --help)\n", line.complaint);
        return OPTIONS_BAD;
    case COMMAND_LINE_GOOD:
        break;
    }
    if (line.word_count != 1) {
        fprintf(err, "immure-storm: one target HOST:PORT is needed (see --help)\n");
        return OPTIONS_BAD;
    }
    if (!parse_target(options, line.words[0])) {
        fprintf(err, "immure-storm: \"%s\" is not HOST:PORT\n", line.words[0]);
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
