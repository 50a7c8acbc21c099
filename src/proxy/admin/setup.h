/* What the admin pages are made from. */
#ifndef PROXY_ADMIN_SETUP_H
#define PROXY_ADMIN_SETUP_H

#include <stdatomic.h>

#include "proxy/config/config.h"
#include "proxy/shared/keyd_figures.h"
#include "proxy/shared/metrics_history.h"
#include "proxy/shared/servers.h"

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
    const struct proxy_config *config;
    int listener; /* listening socket, owned by the caller */
    const struct metrics_history *history;
    const struct generation_metrics *metrics; /* this worker's part of the history */
    const struct certificate_info *certificates;
    size_t certificate_count;
    size_t certificates_failed;           /* files that could not be used */
    const struct shared_servers *servers; /* of this worker; NULL: none are shown */
    struct keyd_figures *keyd;            /* NULL: the keys are in this process */
    uint64_t started;                     /* seconds since 1970 */
};

#endif
