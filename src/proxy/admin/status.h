/*
 * One moment of all figures: of every loop thread of all workers that there have been, and of the
 * threads of this one. The three renderings (render.h) are made from it.
 */
#ifndef PROXY_ADMIN_STATUS_H
#define PROXY_ADMIN_STATUS_H

#include "base/histogram.h"
#include "proxy/admin/setup.h"
#include "proxy/admin/usage.h"
#include "proxy/worker/route/chain_check.h"

struct status {
    const struct admin_setup *setup;
    uint64_t now;            /* seconds since 1970 */
    uint64_t worker_started; /* seconds since 1970 */
    struct usage usage;
    struct metrics_sum sum; /* of all workers that there have been since the master's start */
    uint64_t established;   /* connections that are not handshaking */
    struct metrics_draining draining;
    uint64_t keyd_connected; /* threads of this worker */
    struct histogram *turns; /* of each thread of this worker: config->workers of them */
    struct immure_stat keyd[KEYD_FIGURES_MAX]; /* immured's own */
    size_t keyd_count;                         /* 0: not known */
};

/* NULL on lack of memory. The setup must outlive it. */
struct status *status_take(const struct admin_setup *setup, struct usage_source *usage,
                           uint64_t worker_started);
void status_free(struct status *status);

/* The problems of a certificate by now: a bit for each enum chain_problem. */
unsigned status_certificate_problems(const struct status *status,
                                     const struct certificate_info *info);
/* One of immured's figures, or NAN. */
double status_keyd(const struct status *status, const char *name);

/* The quantiles that are shown, from P50 to P99.9999. */
struct quantile {
    const char *label; /* "0.999" */
    const char *name;  /* "p999" */
    double value;
    uint64_t one_in; /* one value of so many lies beyond it */
};
#define QUANTILE_COUNT 5
extern const struct quantile quantiles[QUANTILE_COUNT];

/* In seconds; NaN if fewer than ten values lie beyond it: such a figure would be chance. */
double status_quantile(const struct histogram *histogram, const struct quantile *quantile);
/* In seconds; NaN if there are none. */
double status_max(const struct histogram *histogram);
double status_mean(const struct histogram *histogram);
/* In seconds. */
double status_sum(const struct histogram *histogram);

#endif
