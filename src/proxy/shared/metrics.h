/*
 * The metrics of a loop thread. Each thread writes only its own struct; admin threads, of this
 * worker and of later ones, may read it at any time. Counters are relaxed atomics with a single
 * writer, so there are no locks on the hot path.
 *
 * The struct lies in memory that processes share (metrics_history.h). So it holds no pointers, and
 * readers must not trust its contents.
 */
#ifndef PROXY_SHARED_METRICS_H
#define PROXY_SHARED_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"

typedef _Atomic uint64_t metric;

static inline void metric_add(metric *value, uint64_t amount)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

static inline uint64_t metric_read(const metric *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

enum handshake_version { VERSION_NONE, VERSION_TLS12, VERSION_TLS13, VERSION_COUNT };
enum handshake_result {
    HANDSHAKE_FULL,    /* succeeded, with a signature */
    HANDSHAKE_RESUMED, /* succeeded, by a session ticket */
    HANDSHAKE_FAILED,  /* an alert was sent or received, or signing failed */
    HANDSHAKE_TIMEOUT,
    HANDSHAKE_ABORTED, /* the client closed or reset */
    HANDSHAKE_PASSED,  /* none was made: the stream goes to a server as it is */
    HANDSHAKE_SHED,    /* handshakes waited too long, and this one was given up */
    HANDSHAKE_LIMITED, /* the limits of connections by source */
    HANDSHAKE_RESULT_COUNT
};
extern const char *const handshake_version_names[VERSION_COUNT];         /* "none", "TLSv1.2" ... */
extern const char *const handshake_result_names[HANDSHAKE_RESULT_COUNT]; /* "full" ... */

/* How established connections end. */
enum connection_end {
    END_CLEAN,          /* both sides closed their end */
    END_CLIENT_UNCLEAN, /* the client sent a FIN without close_notify */
    END_CLIENT_FAILED,  /* the client reset it, or sent something other than TLS */
    END_BACKEND_FAILED, /* the backend reset it, or could not be reached */
    END_IDLE,           /* idle-timeout */
    END_HALF_CLOSE,     /* half-close-timeout */
    END_NO_DATA,        /* the client sent too many records without data */
    END_NO_MEMORY,
    END_DRAIN, /* drain-timeout */
    CONNECTION_END_COUNT
};
extern const char *const connection_end_names[CONNECTION_END_COUNT]; /* "clean" ... */

#define SIGN_METRICS_MAX 24
#define SIGN_BACKEND_SIZE 16

/* Signatures of one algorithm by one signing backend, as reported by immured. */
struct sign_metrics {
    uint16_t scheme;
    char backend[SIGN_BACKEND_SIZE]; /* its name, padded with zeros, not terminated if it fills the
                                        array */
    struct histogram sign;           /* time in the backend */
    struct histogram queue;          /* time in immured's queue */
    struct histogram round_trip;     /* from the request to its reply, as the loop saw it */
    metric last_sign;                /* ns */
    metric last_at;                  /* the time of that signature: CLOCK_MONOTONIC, ns */
    metric errors;
};

/*
 * The single metrics of a thread, one row each, from which their place, their sum over threads and
 * their form in the pages come: name, member, key in the status, help. The member with "immure_"
 * before it is the name in /metrics. "" as help: /metrics shows it together with others.
 *
 * Current values.
 */
#define METRICS_GAUGES(ROW)                                                                        \
    ROW(CONNECTIONS, connections, "", "")            /* client connections now */                  \
    ROW(HANDSHAKING, handshaking, "handshaking", "") /* of those, not yet established */           \
    ROW(SIGNATURES_PENDING, signatures_pending, "pending",                                         \
        "Requests to immured without an answer yet.")                                              \
    ROW(QUEUED, queued, "queued",                                                                  \
        "Connections that wait because all servers have their max-connections.")                   \
    ROW(HELD, held, "held", "Handshakes that are held back because they wait too long.")           \
    ROW(OVERLOADED, overloaded, "overloaded",                                                      \
        "Event-loop threads in which handshakes wait too long.")                                   \
    ROW(KEYD_CONNECTED, keyd_connected, "connected",                                               \
        "Event-loop threads of this worker that are connected to immured.") /* 1 or 0 */

/* Totals, besides handshakes and ends. */
#define METRICS_COUNTERS(ROW)                                                                      \
    ROW(ACCEPTED, accepted_total, "accepted", "Client connections accepted.")                      \
    ROW(BACKEND_ERRORS, backend_errors_total, "backend_errors",                                    \
        "Servers of backends that refused, were unreachable or too slow.")                         \
    ROW(BACKEND_RETRIES, backend_retries_total, "backend_retries",                                 \
        "Servers that a connection was tried on after another server did not take it.")            \
    ROW(BACKEND_DRAINED, backend_drained_total, "backend_drained",                                 \
        "Connections closed because all servers were drained or disabled by the operator.")        \
    ROW(QUEUE_FULL, queue_full_total, "queue_full",                                                \
        "Connections closed because all servers and the queue were full.")                         \
    ROW(QUEUE_TIMEOUTS, queue_timeouts_total, "queue_timeouts",                                    \
        "Connections closed because they had waited in the queue for queue-timeout.")              \
    ROW(HELD_BACK, held_back_total, "held_back",                                                   \
        "Handshakes that were held back because they waited too long.")                            \
    ROW(SHED_WAITED, shed_waited_total, "shed_waited",                                             \
        "Clients that were reset because they had waited for handshake-patience.")                 \
    ROW(SHED_ROOM, shed_room_total, "shed_room",                                                   \
        "Clients that were reset while held back so that others had room.")                        \
    ROW(LIMITED_CONNECTIONS, limited_connections_total, "limited_connections",                     \
        "Connections refused by connections-by-source.")                                           \
    ROW(LIMITED_RATE, limited_rate_total, "limited_rate",                                          \
        "Connections refused by connection-rate-by-source.")                                       \
    ROW(IDLE_TIMEOUTS, idle_timeouts_total, "idle_timeouts",                                       \
        "Connections closed because they were idle.") /* idle-timeout and half-close-timeout */    \
    ROW(BYTES_IN, bytes_in_total, "bytes_in", "")     /* relayed: client to backend */             \
    ROW(BYTES_OUT, bytes_out_total, "bytes_out", "")  /* relayed: backend to client */             \
    ROW(KEYD_RECONNECTS, keyd_reconnects_total, "reconnects",                                      \
        "Connections to immured that were lost.")

enum metrics_gauge {
#define ENUMERATOR(name, ...) GAUGE_##name,
    METRICS_GAUGES(ENUMERATOR)
#undef ENUMERATOR
        GAUGE_COUNT
};
enum metrics_counter {
#define ENUMERATOR(name, ...) COUNTER_##name,
    METRICS_COUNTERS(ENUMERATOR)
#undef ENUMERATOR
        COUNTER_COUNT
};

struct metric_row {
    size_t offset;    /* in struct thread_metrics */
    const char *name; /* in /metrics */
    const char *key;  /* in the status */
    const char *help;
};
extern const struct metric_row metrics_gauges[GAUGE_COUNT], metrics_counters[COUNTER_COUNT];

struct thread_metrics {
    struct histogram turn;      /* busy time of each loop turn */
    struct histogram turn_cpu;  /* CPU time of each loop turn */
    struct histogram handshake; /* from accept to the end of the handshake, full and resumed */
    metric handshakes[VERSION_COUNT][HANDSHAKE_RESULT_COUNT];
    metric ends[CONNECTION_END_COUNT];
#define MEMBER(name, member, ...) metric member;
    METRICS_GAUGES(MEMBER)
    METRICS_COUNTERS(MEMBER)
#undef MEMBER
    /* These rows are most of the memory, and come last: shared pages that nobody touches cost
     * nothing, so readers go no further than sign_count. */
    _Atomic uint32_t sign_count;
    struct sign_metrics sign[SIGN_METRICS_MAX];
};

/* The row for this algorithm and backend, created if necessary. NULL: no row is left. Only for the
 * thread that owns the metrics. */
struct sign_metrics *metrics_sign(struct thread_metrics *metrics, uint16_t scheme,
                                  const char *backend);
/* Counts one signature; times in ns, `now` is CLOCK_MONOTONIC. Only for the thread that owns the
 * row. */
void metrics_signed(struct sign_metrics *row, uint64_t sign, uint64_t queue, uint64_t round_trip,
                    uint64_t now);
/* Row i, for any reader; NULL after the last one. */
const struct sign_metrics *metrics_sign_row(const struct thread_metrics *metrics, size_t i);

#endif
