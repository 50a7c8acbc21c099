#include "proxy/admin/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define SAMPLES_BEYOND 10
#define SINGLE_SERVERS_MAX 1000

const struct quantile quantiles[QUANTILE_COUNT] = {
    {"0.5", "p50", 0.5, 2},
    {"0.99", "p99", 0.99, 100},
    {"0.999", "p999", 0.999, 1000},
    {"0.9999", "p9999", 0.9999, 10000},
    {"0.999999", "p999999", 0.999999, 1000000},
};

/* Adds the figures that cover this worker only. */
static void add_own(struct status *status, const struct thread_metrics *thread,
                    struct histogram *turn)
{
    histogram_merge(turn, &thread->turn);
    status->keyd_connected += metrics_gauge(thread, GAUGE_KEYD_CONNECTED);
}

struct status *status_take(const struct admin_setup *setup, struct usage_source *usage,
                           uint64_t worker_started)
{
    struct status *status = calloc(1, sizeof *status);
    if (status == NULL)
        return NULL;
    status->setup = setup;
    status->now = clock_wall() / NS_PER_S;
    status->worker_started = worker_started;
    status->usage = usage_read(usage);
    if (setup->keyd != NULL)
        status->keyd_count = keyd_figures_get(setup->keyd, status->keyd);
    status->turns = calloc(setup->config->workers, sizeof *status->turns);
    if (status->turns == NULL ||
        !metrics_history_sum(setup->history, setup->metrics, &status->sum)) {
        status_free(status);
        return NULL;
    }
    for (unsigned i = 0; i < setup->config->workers; i++)
        add_own(status, generation_metrics_thread(setup->metrics, i), &status->turns[i]);
    status->draining = metrics_history_draining(setup->history);
    /* The gauges are not read atomically, so the second may exceed the first. */
    const uint64_t *gauges = status->sum.gauges;
    if (gauges[GAUGE_CONNECTIONS] > gauges[GAUGE_HANDSHAKING])
        status->established = gauges[GAUGE_CONNECTIONS] - gauges[GAUGE_HANDSHAKING];
    return status;
}

void status_free(struct status *status)
{
    if (status == NULL)
        return;
    free(status->turns);
    metrics_sum_release(&status->sum);
    free(status);
}

unsigned status_certificate_problems(const struct status *status,
                                     const struct certificate_info *info)
{
    unsigned expired = info->not_after < status->now;
    return atomic_load_explicit(&info->problems, memory_order_relaxed) | expired << CHAIN_EXPIRED;
}

void status_count_servers(const struct shared_pool *pool, size_t counts[SERVER_STATE_COUNT])
{
    memset(counts, 0, SERVER_STATE_COUNT * sizeof *counts);
    for (size_t i = 0; i < pool->config->server_count; i++)
        counts[server_state(&pool->servers[i])]++;
}

bool status_shows_server(const struct status *status, const struct shared_server *server)
{
    return status->setup->config->server_count <= SINGLE_SERVERS_MAX ||
           server_state(server) != SERVER_UP || server_setting(server).weight > 0;
}

double status_keyd(const struct status *status, const char *name)
{
    for (size_t i = 0; i < status->keyd_count; i++)
        if (strcmp(status->keyd[i].name, name) == 0)
            return (double)status->keyd[i].value;
    return NAN;
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

double status_quantile(const struct histogram *histogram, const struct quantile *quantile)
{
    if (histogram_count(histogram) < SAMPLES_BEYOND * quantile->one_in)
        return NAN;
    return seconds(histogram_quantile(histogram, quantile->value));
}

double status_max(const struct histogram *histogram)
{
    if (histogram_count(histogram) == 0)
        return NAN;
    return seconds(atomic_load_explicit(&histogram->max, memory_order_relaxed));
}

double status_sum(const struct histogram *histogram)
{
    return seconds(atomic_load_explicit(&histogram->sum, memory_order_relaxed));
}

double status_mean(const struct histogram *histogram)
{
    uint64_t count = histogram_count(histogram);
    return count == 0 ? NAN : status_sum(histogram) / (double)count;
}
