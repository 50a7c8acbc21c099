#include "proxy/admin/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "immure/scheme.h"

#define SAMPLES_BEYOND 10

const struct quantile quantiles[QUANTILE_COUNT] = {
    {"0.5", "p50", 0.5, 2},
    {"0.99", "p99", 0.99, 100},
    {"0.999", "p999", 0.999, 1000},
    {"0.9999", "p9999", 0.9999, 10000},
    {"0.999999", "p999999", 0.999999, 1000000},
};

static const size_t sum_offsets[STATUS_SUM_COUNT] = {
    [SUM_CONNECTIONS] = offsetof(struct thread_metrics, connections),
    [SUM_HANDSHAKING] = offsetof(struct thread_metrics, handshaking),
    [SUM_ACCEPTED] = offsetof(struct thread_metrics, accepted_total),
    [SUM_SIGNATURES_PENDING] = offsetof(struct thread_metrics, signatures_pending),
    [SUM_BACKEND_ERRORS] = offsetof(struct thread_metrics, backend_errors_total),
    [SUM_IDLE_TIMEOUTS] = offsetof(struct thread_metrics, idle_timeouts_total),
    [SUM_BYTES_IN] = offsetof(struct thread_metrics, bytes_in_total),
    [SUM_BYTES_OUT] = offsetof(struct thread_metrics, bytes_out_total),
    [SUM_KEYD_CONNECTED] = offsetof(struct thread_metrics, keyd_connected),
    [SUM_KEYD_RECONNECTS] = offsetof(struct thread_metrics, keyd_reconnects_total),
};

/* The row of this algorithm and backend, made when it is not there; NULL: no memory. */
static struct status_sign *sign_row(struct status *status, const struct sign_metrics *from)
{
    const char *algorithm = immure_scheme_name(from->scheme);
    for (size_t i = 0; i < status->sign_count; i++) {
        struct status_sign *row = &status->signs[i];
        if (strcmp(row->algorithm, algorithm) == 0 && strcmp(row->backend, from->backend) == 0)
            return row;
    }
    struct status_sign *rows =
        realloc(status->signs, (status->sign_count + 1) * sizeof *status->signs);
    if (rows == NULL)
        return NULL;
    status->signs = rows;
    struct status_sign *row = &rows[status->sign_count++];
    memset(row, 0, sizeof *row);
    row->algorithm = algorithm;
    row->backend = from->backend;
    return row;
}

static bool add_sign(struct status *status, const struct sign_metrics *from)
{
    struct status_sign *row = sign_row(status, from);
    if (row == NULL)
        return false;
    histogram_merge(&row->sign, &from->sign);
    histogram_merge(&row->queue, &from->queue);
    histogram_merge(&row->round_trip, &from->round_trip);
    row->errors += metric_read(&from->errors);
    uint64_t last_at = metric_read(&from->last_at);
    if (last_at >= row->last_at) {
        row->last_at = last_at;
        row->last_sign = metric_read(&from->last_sign);
    }
    return true;
}

static bool add_thread(struct status *status, const struct thread_metrics *thread,
                       struct histogram *turn)
{
    for (size_t i = 0; i < STATUS_SUM_COUNT; i++)
        status->sums[i] += metric_read((const metric *)((const char *)thread + sum_offsets[i]));
    for (size_t version = 0; version < VERSION_COUNT; version++)
        for (size_t result = 0; result < HANDSHAKE_RESULT_COUNT; result++)
            status->handshakes[version][result] +=
                metric_read(&thread->handshakes[version][result]);
    for (size_t i = 0; i < CONNECTION_END_COUNT; i++)
        status->ends[i] += metric_read(&thread->ends[i]);
    histogram_merge(turn, &thread->turn);
    histogram_merge(&status->turn_cpu, &thread->turn_cpu);
    histogram_merge(&status->turn_all, turn);
    histogram_merge(&status->handshake, &thread->handshake);
    const struct sign_metrics *sign;
    for (size_t i = 0; (sign = metrics_sign_row(thread, i)) != NULL; i++)
        if (!add_sign(status, sign))
            return false;
    return true;
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
    bool ok = status->turns != NULL;
    for (size_t i = 0; ok && i < setup->config->workers; i++)
        ok = add_thread(status, setup->threads[i], &status->turns[i]);
    if (!ok) {
        status_free(status);
        return NULL;
    }
    /* Two gauges are read one after the other: the second may have passed the first. */
    if (status->sums[SUM_CONNECTIONS] > status->sums[SUM_HANDSHAKING])
        status->established = status->sums[SUM_CONNECTIONS] - status->sums[SUM_HANDSHAKING];
    return status;
}

void status_free(struct status *status)
{
    if (status == NULL)
        return;
    free(status->turns);
    free(status->signs);
    free(status);
}

unsigned status_certificate_problems(const struct status *status,
                                     const struct certificate_info *info)
{
    unsigned expired = info->not_after < status->now;
    return atomic_load_explicit(&info->problems, memory_order_relaxed) | expired << CHAIN_EXPIRED;
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
