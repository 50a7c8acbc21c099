/*
 * The admin listener: /metrics (Prometheus text format 0.0.4), /status.json, and / for people. One
 * libmicrohttpd thread, which only reads the counters of the loop threads, of this worker and of
 * earlier ones.
 */
#ifndef PROXY_ADMIN_ADMIN_H
#define PROXY_ADMIN_ADMIN_H

#include <stdatomic.h>

#include "proxy/config/config.h"
#include "proxy/shared/keyd_figures.h"
#include "proxy/shared/metrics_history.h"

/* A certificate being served, for the status page. */
struct certificate_info {
    const char *frontend;
    const char *names;    /* DNS names, separated by ", " */
    const char *key_type; /* "RSA-2048", "P-256" ... */
    const char *file;
    uint64_t not_after;        /* seconds since 1970 */
    _Atomic unsigned problems; /* a bit per enum chain_problem; CHAIN_NO_KEY may change */
    char key_id[65];           /* hexadecimal */
};

struct admin_setup {
    const struct config *config;
    int listener; /* listening socket, owned by the caller */
    const struct metrics_history *history;
    const struct generation_metrics *metrics; /* this worker's part of the history */
    const struct certificate_info *certificates;
    size_t certificate_count;
    struct keyd_figures *keyd; /* NULL: the keys are in this process */
    uint64_t started;          /* seconds since 1970 */
};

struct admin;
/* Opens the files of /proc that it reads later. NULL: the reason was logged. */
struct admin *admin_new(const struct admin_setup *setup);
/* Starts serving on a thread of its own. False: the reason was logged, and admin_stop() is still
 * due. */
bool admin_start(struct admin *admin);
/* Ends pending requests and frees; the listener stays open. NULL is allowed. */
void admin_stop(struct admin *admin);

#endif
