#include <inttypes.h>
#include <math.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include "base/escape.h"
#include "proxy/admin/render.h"

/* Bounds of the buckets of turn times, for charts: from 1 us in steps of less than 5 %. */
#define BUCKET_FIRST_NS 1000.0
#define BUCKETS_IN_DOUBLING 16
#define BUCKET_COUNT (24 * BUCKETS_IN_DOUBLING + 1) /* to 16.8 s */

static double bucket_ns(size_t i)
{
    return BUCKET_FIRST_NS * exp2((double)i / BUCKETS_IN_DOUBLING);
}

/* Each of these writes `before`, then `"key": value`. */
static void text(FILE *out, const char *before, const char *key, const char *value)
{
    fprintf(out, "%s\"%s\": \"", before, key);
    escape_write(out, ESCAPE_JSON, value);
    fputc('"', out);
}

static void number(FILE *out, const char *before, const char *key, uint64_t value)
{
    fprintf(out, "%s\"%s\": %" PRIu64, before, key, value);
}

/* 0 means that the system does not provide the figure. */
static void number_if_known(FILE *out, const char *before, const char *key, uint64_t value)
{
    if (value == 0)
        fprintf(out, "%s\"%s\": null", before, key);
    else
        number(out, before, key, value);
}

static void seconds(FILE *out, const char *before, const char *key, double value)
{
    if (isnan(value))
        fprintf(out, "%s\"%s\": null", before, key);
    else
        fprintf(out, "%s\"%s\": %.9g", before, key, value);
}

/* The common form of all distributions of times. */
static void times(FILE *out, const char *before, const char *key, const struct histogram *histogram)
{
    fprintf(out, "%s\"%s\": {", before, key);
    number(out, "", "count", histogram_count(histogram));
    seconds(out, ", ", "sum", status_sum(histogram));
    seconds(out, ", ", "mean", status_mean(histogram));
    for (size_t i = 0; i < QUANTILE_COUNT; i++)
        seconds(out, ", ", quantiles[i].name, status_quantile(histogram, &quantiles[i]));
    seconds(out, ", ", "max", status_max(histogram));
    fputc('}', out);
}

static void counter(FILE *out, const struct status *status, size_t i)
{
    number(out, ", ", metrics_counters[i].key, status->sum.counters[i]);
}

static void gauge(FILE *out, const char *before, enum metrics_gauge gauge, uint64_t now)
{
    number(out, before, metrics_gauges[gauge].key, now);
}

static void render_identity(FILE *out, const struct status *status)
{
    const struct proxy_config *config = status->setup->config;
    bool in_process = config->signing == SIGNING_IN_PROCESS;
    text(out, "  ", "program", "immure-proxy");
    text(out, ",\n  ", "version", IMMURE_VERSION);
    text(out, ",\n  ", "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
    number(out, ",\n  ", "pid", (uint64_t)getpid());
    text(out, ",\n  ", "signing", signing_mode_name(config->signing));
    number(out, ",\n  ", "workers", config->workers);
    number(out, ",\n  ", "started", status->setup->started);
    number(out, ",\n  ", "worker_started", status->worker_started);
    number(out, ",\n  ", "now", status->now);
    text(out, ",\n  \"keys\": {", "held_by", in_process ? "immure-proxy" : "immured");
    text(out, ", ", "socket", config->keys.socket);
    gauge(out, ", ", GAUGE_KEYD_CONNECTED, status->keyd_connected);
    counter(out, status, COUNTER_KEYD_RECONNECTS);
    gauge(out, ", ", GAUGE_SIGNATURES_PENDING, status->sum.gauges[GAUGE_SIGNATURES_PENDING]);
    fputc('}', out);
}

static void render_connections(FILE *out, const struct status *status)
{
    gauge(out, ",\n  \"connections\": {", GAUGE_HANDSHAKING, status->sum.gauges[GAUGE_HANDSHAKING]);
    number(out, ", ", "established", status->established);
    for (size_t i = COUNTER_ACCEPTED; i <= COUNTER_BYTES_OUT; i++)
        counter(out, status, i);
    gauge(out, ", ", GAUGE_QUEUED, status->sum.gauges[GAUGE_QUEUED]);
    gauge(out, ", ", GAUGE_HELD, status->sum.gauges[GAUGE_HELD]);
    gauge(out, ", ", GAUGE_OVERLOADED, status->sum.gauges[GAUGE_OVERLOADED]);
    number(out, "},\n  \"draining\": {", "workers", status->draining.workers);
    number(out, ", ", "connections", status->draining.connections);
    fputs("},\n  \"handshakes\": {", out);
    for (size_t version = 0; version < VERSION_COUNT; version++) {
        fprintf(out, "%s\n    \"%s\": {", version > 0 ? "," : "", handshake_version_names[version]);
        for (size_t result = 0; result < HANDSHAKE_RESULT_COUNT; result++)
            number(out, result > 0 ? ", " : "", handshake_result_names[result],
                   status->sum.handshakes[version][result]);
        fputc('}', out);
    }
    fputs("\n  }", out);
    times(out, ",\n  ", "handshake_seconds", &status->sum.handshake);
}

static void render_signatures(FILE *out, const struct status *status)
{
    fputs(",\n  \"signatures\": [", out);
    for (size_t i = 0; i < status->sum.sign_count; i++) {
        const struct sign_sum *row = &status->sum.signs[i];
        uint64_t count = histogram_count(&row->sign);
        text(out, i > 0 ? ",\n    {" : "\n    {", "algorithm", row->algorithm);
        text(out, ", ", "backend", row->backend);
        number(out, ", ", "count", count);
        number(out, ", ", "errors", row->errors);
        seconds(out, ", ", "last_seconds", count > 0 ? (double)row->last_sign / 1e9 : NAN);
        times(out, ",\n     ", "sign_seconds", &row->sign);
        times(out, ",\n     ", "queue_seconds", &row->queue);
        times(out, ",\n     ", "round_trip_seconds", &row->round_trip);
        fputc('}', out);
    }
    fputc(']', out);
}

static void render_turns(FILE *out, const struct status *status)
{
    times(out, ",\n  ", "turn_seconds", &status->sum.turn);
    fputs(",\n  \"turn_bucket_seconds\": [", out);
    for (size_t i = 0; i < BUCKET_COUNT; i++)
        fprintf(out, "%s%.4g", i > 0 ? ", " : "", bucket_ns(i) / 1e9);
    fputs("],\n  \"threads\": [", out);
    for (size_t thread = 0; thread < status->setup->config->workers; thread++) {
        const struct histogram *turn = &status->turns[thread];
        number(out, thread > 0 ? ",\n    {" : "\n    {", "thread", thread);
        times(out, ", ", "turn_seconds", turn);
        fputs(",\n     \"turn_buckets\": [", out);
        for (size_t i = 0; i < BUCKET_COUNT; i++)
            fprintf(out, "%s%" PRIu64, i > 0 ? ", " : "",
                    histogram_count_up_to(turn, (uint64_t)bucket_ns(i)));
        fputs("]}", out);
    }
    fputc(']', out);
}

static void render_server(FILE *out, const char *before, const struct server_config *config,
                          const struct shared_server *server)
{
    const struct server_setting setting = server_setting(server);
    char reason[VERDICT_REASON_SIZE];
    server_reason(server, reason);
    text(out, before, "address", config->address.text);
    text(out, ", ", "state", server_state_name(server_state(server)));
    text(out, ", ", "operator", server_mode_name(setting.mode));
    number(out, ", ", "weight", server_weight(config, &setting));
    number_if_known(out, ", ", "operator_weight", setting.weight);
    fprintf(out, ", \"backup\": %s", config->backup ? "true" : "false");
    number_if_known(out, ", ", "max_connections", config->max_connections);
    number(out, ", ", "connections", atomic_load(&server->taken));
    number(out, ", ", "chosen", atomic_load(&server->total));
    number(out, ", ", "failed", atomic_load(&server->failed));
    text(out, ", ", "check", reason);
    number_if_known(out, ", ", "check_changed", atomic_load(&server->since));
    fputc('}', out);
}

static void render_servers(FILE *out, const struct status *status, const struct shared_pool *pool)
{
    bool first = true;
    fputs(",\n     \"servers\": [", out);
    for (size_t i = 0; i < pool->config->server_count; i++) {
        if (!status_shows_server(status, &pool->servers[i]))
            continue;
        render_server(out, first ? "\n      {" : ",\n      {", &pool->config->servers[i],
                      &pool->servers[i]);
        first = false;
    }
    fputs("]}", out);
}

static void render_backends(FILE *out, const struct status *status)
{
    const struct shared_servers *servers = status->setup->servers;
    fputs(",\n  \"backends\": [", out);
    for (size_t i = 0; servers != NULL && i < servers->pool_count; i++) {
        const struct shared_pool *pool = &servers->pools[i];
        size_t counts[SERVER_STATE_COUNT];
        status_count_servers(pool, counts);
        text(out, i > 0 ? ",\n    {" : "\n    {", "name", pool->config->name);
        text(out, ", ", "balance", balance_name(pool->config->balance));
        text(out, ", ", "check", check_kind_name(pool->config->check.kind));
        number(out, ", ", "queued", atomic_load(&pool->waiting));
        for (int state = 0; state < SERVER_STATE_COUNT; state++)
            number(out, ", ", server_state_name((enum server_state)state), counts[state]);
        render_servers(out, status, pool);
    }
    fputc(']', out);
}

static void render_problems(FILE *out, unsigned problems)
{
    const char *before = "";
    fputs(", \"problems\": [", out);
    for (unsigned i = 0; i < CHAIN_PROBLEM_COUNT; i++) {
        if ((problems >> i & 1) == 0)
            continue;
        fprintf(out, "%s\"%s\"", before, chain_problem_names[i]);
        before = ", ";
    }
    fputc(']', out);
}

static void render_certificates(FILE *out, const struct status *status)
{
    struct certificate_page page;
    certificate_page_find(status->setup, &status->query, &page);
    number(out, ",\n  ", "certificates_found", page.found);
    number(out, ", ", "certificates_page", status->query.page);
    number(out, ", ", "certificates_pages", page.pages);
    number(out, ", ", "certificates_failed", status->setup->certificates_failed);
    fputs(",\n  \"certificates\": [", out);
    for (size_t i = 0; i < page.count; i++) {
        const struct certificate_info *info = &status->setup->certificates[page.shown[i]];
        text(out, i > 0 ? ",\n    {" : "\n    {", "frontend", info->frontend);
        text(out, ", ", "names", info->names);
        text(out, ", ", "key_type", info->key_type);
        text(out, ", ", "file", info->file);
        text(out, ", ", "key_id", info->key_id);
        number(out, ", ", "not_after", info->not_after);
        render_problems(out, status_certificate_problems(status, info));
        fputc('}', out);
    }
    fputc(']', out);
}

static void render_keyd(FILE *out, const struct status *status)
{
    fputs(",\n  \"immured\": {", out);
    for (size_t i = 0; i < status->keyd_count; i++)
        number(out, i > 0 ? ", " : "", status->keyd[i].name, status->keyd[i].value);
    fputc('}', out);
}

void render_status(FILE *out, const struct status *status)
{
    fputs("{\n", out);
    render_identity(out, status);
    render_connections(out, status);
    render_signatures(out, status);
    render_turns(out, status);
    render_keyd(out, status);
    render_backends(out, status);
    render_certificates(out, status);
    fprintf(out, ",\n  \"process\": {\"cpu_seconds\": %.6f", status->usage.cpu_seconds);
    number_if_known(out, ", ", "resident_bytes", status->usage.resident_bytes);
    number_if_known(out, ", ", "open_descriptors", status->usage.open_descriptors);
    fputs("}\n}\n", out);
}
