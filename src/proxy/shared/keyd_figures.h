/* immured's own figures (STATS), which the worker's main thread requests and the admin pages
 * show. */
#ifndef PROXY_SHARED_KEYD_FIGURES_H
#define PROXY_SHARED_KEYD_FIGURES_H

#include <pthread.h>

#include "immure/client.h"

#define KEYD_FIGURES_MAX 64

struct keyd_figures {
    pthread_mutex_t mutex;
    uint64_t taken; /* CLOCK_MONOTONIC, ns; 0: never */
    size_t count;
    struct immure_stat stats[KEYD_FIGURES_MAX];
};

#define KEYD_FIGURES_INIT                                                                          \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER                                                         \
    }

/* Figures without a name, which come from a newer immured, are left out. */
void keyd_figures_set(struct keyd_figures *figures, const struct immure_stat *stats, size_t count);
/* `stats` has room for KEYD_FIGURES_MAX. Returns their number, or 0 if they are older than a few
 * seconds. */
size_t keyd_figures_get(struct keyd_figures *figures, struct immure_stat *stats);

#endif
