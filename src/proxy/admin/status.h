/*
 * One moment of all figures: read once from every loop thread, so that what a page shows adds up.
 * The three renderings (render.h) are made from it.
 */
#ifndef PROXY_ADMIN_STATUS_H
#define PROXY_ADMIN_STATUS_H

#include "base/histogram.h"
#include "proxy/admin/admin.h"
#include "proxy/admin/usage.h"
#include "proxy/worker/chain_check.h"

/* The figures that are simply added up over the threads. */
enum status_sum {
    SUM_CONNECTIONS,
    SUM_HANDSHAKING,
    SUM_ACCEPTED,
    SUM_SIGNATURES_PENDING,
    SUM_BACKEND_ERRORS,
    SUM_IDLE_TIMEOUTS,
    SUM_BYTES_IN,
    SUM_BYTES_OUT,
    SUM_KEYD_CONNECTED,
    SUM_KEYD_RECONNECTS,
    STATUS_SUM_COUNT
};

/* Signatures of one algorithm by one backend, of all threads. */
struct status_sign {
    const char *algorithm, *backend;
    struct histogram sign, queue, round_trip;
    uint64_t last_sign, last_at; /* ns */
    uint64_t errors;
};

struct status {
    const struct admin_setup *setup;
    uint64_t now;            /* seconds since 1970 */
    uint64_t worker_started; /* seconds since 1970 */
    struct usage usage;
    uint64_t sums[STATUS_SUM_COUNT];
    uint64_t established; /* connections that are not handshaking */
    uint64_t handshakes[VERSION_COUNT][HANDSHAKE_RESULT_COUNT];
    uint64_t ends[CONNECTION_END_COUNT];
    struct histogram handshake;
    struct histogram turn_all; /* turns of all threads */
    struct histogram turn_cpu; /* the same, in CPU time */
    struct histogram *turns;   /* of each thread: config->workers of them */
    struct status_sign *signs;
    size_t sign_count;
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
