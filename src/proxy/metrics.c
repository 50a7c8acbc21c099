#include "proxy/metrics.h"

#include <stdlib.h>
#include <string.h>

const char *const handshake_version_names[VERSION_COUNT] = {
    [VERSION_NONE] = "none",
    [VERSION_TLS12] = "TLSv1.2",
    [VERSION_TLS13] = "TLSv1.3",
};

const char *const handshake_result_names[HANDSHAKE_RESULT_COUNT] = {
    [HANDSHAKE_FULL] = "full",       [HANDSHAKE_RESUMED] = "resumed", [HANDSHAKE_FAILED] = "failed",
    [HANDSHAKE_TIMEOUT] = "timeout", [HANDSHAKE_ABORTED] = "aborted",
};

const char *const connection_end_names[CONNECTION_END_COUNT] = {
    [END_CLEAN] = "clean",
    [END_CLIENT_UNCLEAN] = "client-unclean",
    [END_CLIENT_FAILED] = "client-failed",
    [END_BACKEND_FAILED] = "backend-failed",
    [END_IDLE] = "idle-timeout",
    [END_HALF_CLOSE] = "half-close-timeout",
    [END_NO_DATA] = "no-data",
    [END_NO_MEMORY] = "no-memory",
    [END_DRAIN] = "drain-timeout",
};

struct sign_metrics *metrics_sign(struct thread_metrics *metrics, uint16_t scheme,
                                  const char *backend)
{
    size_t i = 0;
    for (; i < SIGN_METRICS_MAX; i++) {
        struct sign_metrics *row = atomic_load_explicit(&metrics->sign[i], memory_order_relaxed);
        if (row == NULL)
            break;
        if (row->scheme == scheme && strcmp(row->backend, backend) == 0)
            return row;
    }
    if (i == SIGN_METRICS_MAX)
        return NULL;
    struct sign_metrics *row = calloc(1, sizeof *row);
    if (row == NULL)
        return NULL;
    row->scheme = scheme;
    row->backend = backend;
    /* A reader that finds the row finds its scheme and backend, too. */
    atomic_store_explicit(&metrics->sign[i], row, memory_order_release);
    return row;
}

void metrics_signed(struct sign_metrics *row, uint64_t sign, uint64_t queue, uint64_t round_trip,
                    uint64_t now)
{
    histogram_record(&row->sign, sign);
    histogram_record(&row->queue, queue);
    histogram_record(&row->round_trip, round_trip);
    atomic_store_explicit(&row->last_sign, sign, memory_order_relaxed);
    atomic_store_explicit(&row->last_at, now, memory_order_relaxed);
}

const struct sign_metrics *metrics_sign_row(const struct thread_metrics *metrics, size_t i)
{
    if (i >= SIGN_METRICS_MAX)
        return NULL;
    return atomic_load_explicit(&metrics->sign[i], memory_order_acquire);
}
