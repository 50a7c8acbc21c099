#include <inttypes.h>
#include <math.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "proxy/admin/render.h"

/* Upper bounds of the histograms' buckets, ns: 1, 2.5 and 5 times each power of ten. */
static const uint64_t bucket_bounds[] = {
    10 * NS_PER_US,  25 * NS_PER_US,   50 * NS_PER_US,   100 * NS_PER_US, 250 * NS_PER_US,
    500 * NS_PER_US, 1 * NS_PER_MS,    2500 * NS_PER_US, 5 * NS_PER_MS,   10 * NS_PER_MS,
    25 * NS_PER_MS,  50 * NS_PER_MS,   100 * NS_PER_MS,  250 * NS_PER_MS, 500 * NS_PER_MS,
    1 * NS_PER_S,    2500 * NS_PER_MS, 5 * NS_PER_S,     10 * NS_PER_S,
};

static void family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void value(FILE *out, double number)
{
    if (isnan(number))
        fputs(" NaN\n", out);
    else
        fprintf(out, " %.9g\n", number);
}

static void label(FILE *out, const char *name, const char *text)
{
    fprintf(out, "%s=\"", name);
    escape_write(out, ESCAPE_LABEL, text);
    fputc('"', out);
}

/* `labels`: "" or "name=\"value\"" pairs separated by commas. */
static void histogram(FILE *out, const char *name, const char *labels,
                      const struct histogram *histogram)
{
    const char *comma = labels[0] != '\0' ? "," : "";
    const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
    for (size_t i = 0; i < sizeof bucket_bounds / sizeof bucket_bounds[0]; i++)
        fprintf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma,
                (double)bucket_bounds[i] / (double)NS_PER_S,
                histogram_count_up_to(histogram, bucket_bounds[i]));
    uint64_t count = histogram_count(histogram);
    fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, count);
    fprintf(out, "%s_sum%s%s%s", name, open, labels, close);
    value(out, status_sum(histogram));
    fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close, count);
}

/* quantile="1" is the maximum. `thread`: "" or "thread=\"0\",". */
static void summary_quantiles(FILE *out, const char *name, const char *thread,
                              const struct histogram *histogram)
{
    for (size_t i = 0; i < QUANTILE_COUNT; i++) {
        fprintf(out, "%s{%squantile=\"%s\"}", name, thread, quantiles[i].label);
        value(out, status_quantile(histogram, &quantiles[i]));
    }
    fprintf(out, "%s{%squantile=\"1\"}", name, thread);
    value(out, status_max(histogram));
}

static void render_build(FILE *out, const struct status *status)
{
    family(out, "immure_build_info", "gauge", "What is running; always 1.");
    fputs("immure_build_info{version=\"" IMMURE_VERSION "\",", out);
    label(out, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
    fputc(',', out);
    label(out, "signing", signing_mode_name(status->setup->config->signing));
    fputs("} 1\n", out);
    family(out, "immure_workers", "gauge", "Event-loop threads.");
    fprintf(out, "immure_workers %u\n", status->setup->config->workers);
}

static void render_handshakes(FILE *out, const struct status *status)
{
    family(out, "immure_handshakes_total", "counter", "TLS handshakes, by outcome.");
    for (size_t version = 0; version < VERSION_COUNT; version++)
        for (size_t result = 0; result < HANDSHAKE_RESULT_COUNT; result++)
            fprintf(out, "immure_handshakes_total{version=\"%s\",result=\"%s\"} %" PRIu64 "\n",
                    handshake_version_names[version], handshake_result_names[result],
                    status->sum.handshakes[version][result]);
    family(out, "immure_handshake_seconds", "histogram",
           "From accept to the end of the handshake, full and resumed.");
    histogram(out, "immure_handshake_seconds", "", &status->sum.handshake);
}

static void render_signatures(FILE *out, const struct status *status)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } times[] = {
        {"immure_sign_seconds", "Time a signature took in the signing backend.",
         offsetof(struct sign_sum, sign)},
        {"immure_sign_queue_seconds", "Time a request waited in the queue of immured.",
         offsetof(struct sign_sum, queue)},
        {"immure_sign_round_trip_seconds",
         "From the request for a signature to its answer, as the event loop saw it.",
         offsetof(struct sign_sum, round_trip)},
    };
    char labels[128];
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        family(out, times[i].name, "histogram", times[i].help);
        for (size_t j = 0; j < status->sum.sign_count; j++) {
            const struct sign_sum *row = &status->sum.signs[j];
            snprintf(labels, sizeof labels, "algorithm=\"%s\",backend=\"%s\"", row->algorithm,
                     row->backend);
            histogram(out, times[i].name, labels,
                      (const struct histogram *)((const char *)row + times[i].offset));
        }
    }
    family(out, "immure_sign_errors_total", "counter", "Requests for a signature that failed.");
    for (size_t j = 0; j < status->sum.sign_count; j++)
        fprintf(out, "immure_sign_errors_total{algorithm=\"%s\",backend=\"%s\"} %" PRIu64 "\n",
                status->sum.signs[j].algorithm, status->sum.signs[j].backend,
                status->sum.signs[j].errors);
}

static void render_all_turns(FILE *out, const char *name, const char *help,
                             const struct histogram *turns)
{
    family(out, name, "summary", help);
    summary_quantiles(out, name, "", turns);
    fprintf(out, "%s_sum", name);
    value(out, status_sum(turns));
    fprintf(out, "%s_count %" PRIu64 "\n", name, histogram_count(turns));
}

static void render_turns(FILE *out, const struct status *status)
{
    static const char name[] = "immure_loop_turn_seconds";
    char thread[32];
    family(out, name, "summary",
           "Busy time of event-loop turns of this worker's threads; quantile 1 is the maximum, NaN "
           "means fewer than ten turns beyond it.");
    for (unsigned i = 0; i < status->setup->config->workers; i++) {
        const struct histogram *turn = &status->turns[i];
        snprintf(thread, sizeof thread, "thread=\"%u\",", i);
        summary_quantiles(out, name, thread, turn);
        fprintf(out, "%s_sum{thread=\"%u\"}", name, i);
        value(out, status_sum(turn));
        fprintf(out, "%s_count{thread=\"%u\"} %" PRIu64 "\n", name, i, histogram_count(turn));
    }
    family(out, "immure_loop_turn_max_seconds", "gauge",
           "The longest event-loop turn of this worker's threads.");
    for (unsigned i = 0; i < status->setup->config->workers; i++) {
        fprintf(out, "immure_loop_turn_max_seconds{thread=\"%u\"}", i);
        value(out, status_max(&status->turns[i]));
    }
    /* It has a name of its own, so that a sum over threads does not count every turn twice. */
    render_all_turns(out, "immure_loop_turn_all_seconds",
                     "As immure_loop_turn_seconds, all threads of all workers together.",
                     &status->sum.turn);
    render_all_turns(
        out, "immure_loop_turn_cpu_seconds",
        "CPU time of the thread in event-loop turns, all threads of all workers together.",
        &status->sum.turn_cpu);
    family(out, "immure_loop_turn_cpu_max_seconds", "gauge",
           "The event-loop turn that took the most CPU time.");
    fputs("immure_loop_turn_cpu_max_seconds", out);
    value(out, status_max(&status->sum.turn_cpu));
}

static void render_ends(FILE *out, const struct status *status)
{
    family(out, "immure_connection_ends_total", "counter",
           "Established connections, by how they ended.");
    for (size_t i = 0; i < CONNECTION_END_COUNT; i++)
        fprintf(out, "immure_connection_ends_total{how=\"%s\"} %" PRIu64 "\n",
                connection_end_names[i], status->sum.ends[i]);
}

/* A family with one unlabelled value. */
static void single(FILE *out, const char *name, const char *type, const char *help, uint64_t count)
{
    family(out, name, type, help);
    fprintf(out, "%s %" PRIu64 "\n", name, count);
}

static void counter(FILE *out, const struct status *status, enum metrics_counter counter)
{
    const struct metric_row *row = &metrics_counters[counter];
    single(out, row->name, "counter", row->help, status->sum.counters[counter]);
}

static void gauge(FILE *out, enum metrics_gauge gauge, uint64_t now)
{
    single(out, metrics_gauges[gauge].name, "gauge", metrics_gauges[gauge].help, now);
}

static void render_counts(FILE *out, const struct status *status)
{
    counter(out, status, COUNTER_ACCEPTED);
    gauge(out, GAUGE_SIGNATURES_PENDING, status->sum.gauges[GAUGE_SIGNATURES_PENDING]);
    gauge(out, GAUGE_KEYD_CONNECTED, status->keyd_connected);
    counter(out, status, COUNTER_KEYD_RECONNECTS);
    counter(out, status, COUNTER_BACKEND_ERRORS);
    counter(out, status, COUNTER_BACKEND_RETRIES);
    counter(out, status, COUNTER_BACKEND_DRAINED);
    counter(out, status, COUNTER_QUEUE_FULL);
    counter(out, status, COUNTER_QUEUE_TIMEOUTS);
    gauge(out, GAUGE_QUEUED, status->sum.gauges[GAUGE_QUEUED]);
    gauge(out, GAUGE_HELD, status->sum.gauges[GAUGE_HELD]);
    gauge(out, GAUGE_OVERLOADED, status->sum.gauges[GAUGE_OVERLOADED]);
    counter(out, status, COUNTER_HELD_BACK);
    counter(out, status, COUNTER_SHED_WAITED);
    counter(out, status, COUNTER_SHED_ROOM);
    counter(out, status, COUNTER_LIMITED_CONNECTIONS);
    counter(out, status, COUNTER_LIMITED_RATE);
    counter(out, status, COUNTER_IDLE_TIMEOUTS);
    single(out, "immure_draining_workers", "gauge",
           "Workers of earlier configurations that still have connections.",
           status->draining.workers);
    single(out, "immure_draining_connections", "gauge",
           "Current client connections of such workers.", status->draining.connections);
    family(out, "immure_connections", "gauge", "Client connections now.");
    fprintf(out, "immure_connections{state=\"handshaking\"} %" PRIu64 "\n",
            status->sum.gauges[GAUGE_HANDSHAKING]);
    fprintf(out, "immure_connections{state=\"established\"} %" PRIu64 "\n", status->established);
    family(out, "immure_relayed_bytes_total", "counter",
           "Bytes relayed: in is client to backend, out is backend to client.");
    fprintf(out, "immure_relayed_bytes_total{direction=\"in\"} %" PRIu64 "\n",
            status->sum.counters[COUNTER_BYTES_IN]);
    fprintf(out, "immure_relayed_bytes_total{direction=\"out\"} %" PRIu64 "\n",
            status->sum.counters[COUNTER_BYTES_OUT]);
}

static void server_rows(FILE *out, const struct status *status, const char *name, const char *help,
                        uint64_t (*figure)(const struct server_config *config,
                                           const struct shared_server *server))
{
    const struct shared_servers *servers = status->setup->servers;
    family(out, name, "gauge", help);
    for (size_t i = 0; i < servers->pool_count; i++) {
        const struct shared_pool *pool = &servers->pools[i];
        for (size_t j = 0; j < pool->config->server_count; j++) {
            if (!status_shows_server(status, &pool->servers[j]))
                continue;
            fprintf(out, "%s{", name);
            label(out, "backend", pool->config->name);
            label(out, ",server", pool->config->servers[j].address.text);
            fprintf(out, "} %" PRIu64 "\n", figure(&pool->config->servers[j], &pool->servers[j]));
        }
    }
}

static uint64_t is_up(const struct server_config *config, const struct shared_server *server)
{
    (void)config;
    return server_state(server) == SERVER_UP;
}

static uint64_t weight_of(const struct server_config *config, const struct shared_server *server)
{
    const struct server_setting setting = server_setting(server);
    return server_weight(config, &setting);
}

static uint64_t connections_of(const struct server_config *config,
                               const struct shared_server *server)
{
    (void)config;
    return atomic_load(&server->taken);
}

static void render_backends(FILE *out, const struct status *status)
{
    const struct shared_servers *servers = status->setup->servers;
    if (servers == NULL)
        return;
    family(out, "immure_backend_servers", "gauge", "Servers of a backend, by their state.");
    for (size_t i = 0; i < servers->pool_count; i++) {
        size_t counts[SERVER_STATE_COUNT];
        status_count_servers(&servers->pools[i], counts);
        for (int state = 0; state < SERVER_STATE_COUNT; state++) {
            fputs("immure_backend_servers{", out);
            label(out, "backend", servers->pools[i].config->name);
            fprintf(out, ",state=\"%s\"} %zu\n", server_state_name((enum server_state)state),
                    counts[state]);
        }
    }
    family(out, "immure_backend_queued", "gauge", "Connections that wait for a server with room.");
    for (size_t i = 0; i < servers->pool_count; i++) {
        fputs("immure_backend_queued{", out);
        label(out, "backend", servers->pools[i].config->name);
        fprintf(out, "} %zu\n", atomic_load(&servers->pools[i].waiting));
    }
    server_rows(out, status, "immure_backend_server_up",
                "1: the server is up; 0: checks failed, connects did, or the operator has drained "
                "or disabled it.",
                is_up);
    server_rows(out, status, "immure_backend_server_weight",
                "The weight of the server: the operator's, or that of the configuration.",
                weight_of);
    server_rows(out, status, "immure_backend_server_connections",
                "Connections of this worker to the server.", connections_of);
}

/* Whether an earlier row has the same file and frontend: a series must be unique. */
static bool certificate_seen(const struct admin_setup *setup, size_t certificate)
{
    const struct certificate_info *info = &setup->certificates[certificate];
    for (size_t i = 0; i < certificate; i++)
        if (strcmp(setup->certificates[i].frontend, info->frontend) == 0 &&
            strcmp(setup->certificates[i].file, info->file) == 0)
            return true;
    return false;
}

static void certificate_labels(FILE *out, const struct certificate_info *info)
{
    const struct {
        const char *name, *text;
    } labels[] = {{"frontend", info->frontend},
                  {",names", info->names},
                  {",key_type", info->key_type},
                  {",file", info->file},
                  {",key_id", info->key_id}};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        label(out, labels[i].name, labels[i].text);
}

/* Series of single certificates are left out where there are more, for they would slow down
 * whoever scrapes them. */
#define SINGLE_CERTIFICATES_MAX 1000

/* Of all certificates together. */
static void render_certificates(FILE *out, const struct admin_setup *setup)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < setup->certificate_count; i++)
        if (setup->certificates[i].not_after < next)
            next = setup->certificates[i].not_after;
    single(out, "immure_certificates", "gauge", "Certificates that are served.",
           setup->certificate_count);
    single(out, "immure_certificates_failed", "gauge",
           "Files of folders of certificates that could not be used.", setup->certificates_failed);
    if (setup->certificate_count > 0)
        single(out, "immure_certificates_next_expiry_seconds", "gauge",
               "When the first of them expires, in seconds since 1970.", next);
}

static void render_expiry(FILE *out, const struct admin_setup *setup)
{
    static const char name[] = "immure_certificate_not_after_seconds";
    family(out, name, "gauge", "When a certificate expires, in seconds since 1970.");
    for (size_t i = 0; i < setup->certificate_count; i++) {
        const struct certificate_info *info = &setup->certificates[i];
        if (certificate_seen(setup, i))
            continue;
        fprintf(out, "%s{", name);
        certificate_labels(out, info);
        fprintf(out, "} %" PRIu64 "\n", info->not_after);
    }
}

static void render_problems(FILE *out, const struct status *status)
{
    static const char name[] = "immure_certificate_problem";
    const struct admin_setup *setup = status->setup;
    family(out, name, "gauge", "1: the certificate chain that is served has this problem.");
    for (size_t i = 0; i < setup->certificate_count; i++) {
        const struct certificate_info *info = &setup->certificates[i];
        unsigned problems = status_certificate_problems(status, info);
        for (unsigned j = 0; j < CHAIN_PROBLEM_COUNT && !certificate_seen(setup, i); j++) {
            fprintf(out, "%s{", name);
            label(out, "frontend", info->frontend);
            label(out, ",file", info->file);
            label(out, ",problem", chain_problem_names[j]);
            fprintf(out, "} %u\n", problems >> j & 1);
        }
    }
}

static void render_process(FILE *out, const struct status *status)
{
    family(out, "process_cpu_seconds_total", "counter",
           "User and system CPU time of the worker process.");
    fprintf(out, "process_cpu_seconds_total %.6f\n", status->usage.cpu_seconds);
    if (status->usage.resident_bytes > 0) {
        family(out, "process_resident_memory_bytes", "gauge", "Memory of the worker process.");
        fprintf(out, "process_resident_memory_bytes %" PRIu64 "\n", status->usage.resident_bytes);
    }
    if (status->usage.open_descriptors > 0) {
        family(out, "process_open_fds", "gauge", "Open file descriptors of the worker process.");
        fprintf(out, "process_open_fds %" PRIu64 "\n", status->usage.open_descriptors);
    }
    family(out, "process_start_time_seconds", "gauge",
           "Start of the worker process, in seconds since 1970.");
    fprintf(out, "process_start_time_seconds %" PRIu64 "\n", status->worker_started);
}

/* immured's own figures, with its names and help texts. */
static void render_keyd(FILE *out, const struct status *status)
{
    char name[128];
    for (size_t i = 0; i < status->keyd_count; i++) {
        const struct immure_stat *stat = &status->keyd[i];
        snprintf(name, sizeof name, "immure_keyd_%s", stat->name);
        fprintf(out, "# HELP %s Of immured: %s.\n# TYPE %s %s\n%s %" PRIu64 "\n", name, stat->help,
                name, stat->counter ? "counter" : "gauge", name, stat->value);
    }
}

void render_metrics(FILE *out, const struct status *status)
{
    render_build(out, status);
    render_handshakes(out, status);
    render_signatures(out, status);
    render_turns(out, status);
    render_ends(out, status);
    render_counts(out, status);
    render_keyd(out, status);
    render_backends(out, status);
    render_certificates(out, status->setup);
    if (status->setup->certificate_count <= SINGLE_CERTIFICATES_MAX) {
        render_expiry(out, status->setup);
        render_problems(out, status);
    }
    render_process(out, status);
}
