/*
 * A loop thread of the worker and all that is its own. Nothing here is shared with another thread
 * but the metrics, which others read.
 */
#ifndef PROXY_WORKER_CORE_THREAD_H
#define PROXY_WORKER_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "proxy/config/config.h"
#include "proxy/metrics.h"
#include "proxy/worker/core/fibers.h"
#include "proxy/worker/core/heap_trim.h"
#include "proxy/worker/core/keylink.h"
#include "proxy/worker/core/listener.h"
#include "proxy/worker/core/turn.h"
#include "proxy/worker/route/ticket_renewal.h"
#include "proxy/worker/route/tls.h"

#define SCRATCH_SIZE 65536

struct connection_limit {
    size_t most;
    _Atomic size_t taken;
};

/* Lines of the log that others can cause as often as they like: each at most once a second. */
enum thread_line {
    LINE_CLIENTS_WAIT,
    LINE_BACKEND_ERROR,
    LINE_NO_DATA,
    LINE_PROXY_HEADER,
    THREAD_LINES
};

struct thread {
    pthread_t handle;
    pthread_barrier_t *gate; /* it serves when this has opened twice; see worker.c */
    unsigned number;
    const struct config *config;
    struct tls *tls;
    struct loop loop;
    struct turn turn;
    struct keylink keys;
    struct ticket_renewal tickets;
    struct fibers fibers;
    struct heap_trim heap;
    struct thread_metrics *metrics;
    struct listener *listeners;
    size_t listener_count;
    struct server_addresses *servers; /* of each backend of the configuration, as of now */
    struct list connections;
    struct list starved; /* connections that wait for a free fiber */
    size_t connection_count;
    struct connection_limit *limit;
    bool draining, cutting; /* cutting: the drain time is over */
    struct timer drain_time;
    uint64_t logged[THREAD_LINES]; /* ns: when each was, the last time */
    struct buffer spare_ahead;     /* room for a client_input's; idle connections hold none */
    uint8_t scratch[SCRATCH_SIZE]; /* relayed bytes on their way; idle connections hold none */
};

struct thread_setup {
    struct connection_limit *limit;
    const struct config *config;
    const struct tls_setup *tls;
    const int *listeners; /* in the order of the configuration's addresses */
    int control;
    struct thread_metrics *metrics; /* where it counts; outlives it */
    unsigned number;
};

/* Loads certificates; starts nothing. NULL: *error says why. */
struct thread *thread_new(const struct thread_setup *setup, struct conf_error *error);
void thread_free(struct thread *thread);
/* Runs until it has drained. */
void thread_run(struct thread *thread);

/* A connection may be opened; false at the limit. Every place taken is given back. */
bool thread_take_place(struct thread *thread);
void thread_give_place(struct thread *thread);

/* Whether a second has passed since the line was logged; if so, it is to be logged now. */
bool thread_may_log(struct thread *thread, enum thread_line line);

#endif
