/*
 * A snapshot of all figures: of the loop threads of all workers so far, and of this worker's
 * threads. The three pages (render.h) are made from it.
 */
#ifndef PROXY_ADMIN_STATUS_H
#define PROXY_ADMIN_STATUS_H

#include "base/histogram.h"
#include "proxy/admin/certificate_page.h"
#include "proxy/admin/setup.h"
#include "proxy/admin/usage.h"
#include "proxy/store/problem.h"

struct status {
    const struct admin_setup *setup;
    struct certificate_query query;
    uint64_t now;            /* seconds since 1970 */
    uint64_t worker_started; /* seconds since 1970 */
    struct usage usage;
    struct metrics_sum sum; /* of all workers since the master's start */
    uint64_t established;   /* connections that have finished the handshake */
    struct metrics_draining draining;
    uint64_t keyd_connected; /* threads of this worker */
    struct histogram *turns; /* one per thread of this worker: config->workers of them */
    struct immure_stat keyd[KEYD_FIGURES_MAX]; /* immured's own */
    size_t keyd_count;                         /* 0: not known */
};

/* NULL: out of memory. The setup must outlive it. */
struct status *status_take(const struct admin_setup *setup, struct usage_source *usage,
                           uint64_t worker_started);
void status_free(struct status *status);

/* The current problems of a certificate: a bit per enum chain_problem. */
unsigned status_certificate_problems(const struct status *status,
                                     const struct certificate_info *info);
/* How many servers of a pool are in each state. */
void status_count_servers(const struct shared_pool *pool, size_t counts[SERVER_STATE_COUNT]);
/* Whether a server has a row of its own. If there are very many, only those that are not up do, for
 * the others would slow down whoever reads them; and those whose weight the operator has set. */
bool status_shows_server(const struct status *status, const struct shared_server *server);
/* One of immured's figures, or NAN. */
double status_keyd(const struct status *status, const char *name);

/* The quantiles that are shown, from P50 to P99.9999. */
struct quantile {
    const char *label; /* "0.999" */
    const char *name;  /* "p999" */
    double value;
    uint64_t one_in; /* one value in this many lies beyond it */
};
#define QUANTILE_COUNT 5
extern const struct quantile quantiles[QUANTILE_COUNT];

/* In seconds. NaN if fewer than ten values lie beyond it, because the figure would be random. */
double status_quantile(const struct histogram *histogram, const struct quantile *quantile);
/* In seconds. NaN if there are no values. */
double status_max(const struct histogram *histogram);
double status_mean(const struct histogram *histogram);
/* In seconds. */
double status_sum(const struct histogram *histogram);

#endif
