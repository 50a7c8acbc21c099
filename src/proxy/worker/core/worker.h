/*
 * The worker process: N event-loop threads and the admin thread. It is forked by the master, which
 * has parsed the configuration and opened every listening socket; it loads the certificate chains,
 * gives up its privileges, asks immured whether it holds the keys, and starts.
 */
#ifndef PROXY_WORKER_CORE_WORKER_H
#define PROXY_WORKER_CORE_WORKER_H

#include "proxy/config/config.h"
#include "proxy/shared/control.h"
#include "proxy/shared/metrics_history.h"

struct worker_setup {
    const struct proxy_config *config;
    /* Non-blocking listening sockets: listeners[t] are those of thread t, one for each address of
     * each frontend, in the order of the configuration. The master keeps them open, so that no
     * queued connection is lost when a worker ends. */
    int *const *listeners;
    int admin_listener;  /* -1: none */
    const int *controls; /* config->workers sockets for the threads, then one for the main thread */
    int store;           /* the store of certificates, as store_open() takes it */
    struct ticket_keys tickets;
    bool again; /* it replaces a worker that has ended: the configuration is in force already */
    const struct metrics_history *history;
    const struct generation_metrics *metrics; /* of this worker, within the history */
    uint64_t started;                         /* when the master started; seconds since 1970 */
};

/* Returns the exit status: 0 after a drain; 1 if the configuration cannot be used (logged). */
int worker_run(const struct worker_setup *setup);

#endif
