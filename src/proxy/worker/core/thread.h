/*
 * A loop thread of the worker and everything that belongs to it. It shares with other threads only
 * the metrics, which others read, and what is known of servers (proxy/shared/servers.h). The parts
 * do not know the thread: it gives each of them what it needs.
 */
#ifndef PROXY_WORKER_CORE_THREAD_H
#define PROXY_WORKER_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/error.h"
#include "proxy/config/config.h"
#include "proxy/shared/metrics.h"
#include "proxy/worker/core/connection.h"
#include "proxy/worker/core/keylink.h"
#include "proxy/worker/core/listener.h"
#include "proxy/worker/core/turn.h"
#include "proxy/worker/route/ticket_renewal.h"
#include "proxy/worker/route/tls.h"

struct thread {
    pthread_t handle;
    pthread_barrier_t *gate; /* the thread passes it twice before it serves; see worker.c */
    unsigned number;
    const struct proxy_config *config;
    struct tls *tls;
    struct loop loop;
    struct turn turn;
    struct keylink keylink;
    struct ticket_renewal tickets;
    struct pools pools;
    struct route *routes; /* by number */
    struct places places;
    struct admission admission;
    struct listeners listeners;
    struct connections connections;
    struct thread_metrics *metrics;
    bool draining, cutting; /* cutting: the drain time is over */
    struct timer drain_time;
    struct timer refreshed; /* certificates that were in force before are left to be freed */
};

struct thread_setup {
    struct connection_limit *limit;
    struct source_limits *source_limits; /* NULL: there are none */
    const struct proxy_config *config;
    const struct tls_setup *tls;
    struct shared_servers *servers;
    const int *listeners; /* in the order of the configuration's addresses */
    int control;
    struct thread_metrics *metrics; /* outlive the thread */
    unsigned number;
};

/* Loads certificates; starts nothing. NULL: *error says why. */
struct thread *thread_new(const struct thread_setup *setup, struct conf_error *error);
void thread_free(struct thread *thread);
/* To be called before the thread runs: immured derives the keys of its session tickets. `keys` are
 * the first ones; the thread asks for the next ones at the time `at` (CLOCK_MONOTONIC, ns). */
void thread_take_tickets(struct thread *thread, const struct ticket_keys *keys, uint64_t at);
/* Runs until it has drained. */
void thread_run(struct thread *thread);

#endif
