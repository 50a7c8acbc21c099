#include "proxy/shared/metrics.h"

#include <string.h>

const char *const handshake_version_names[VERSION_COUNT] = {
    [VERSION_NONE] = "none",
    [VERSION_TLS12] = "TLSv1.2",
    [VERSION_TLS13] = "TLSv1.3",
};

const char *const handshake_result_names[HANDSHAKE_RESULT_COUNT] = {
    [HANDSHAKE_FULL] = "full",       [HANDSHAKE_RESUMED] = "resumed", [HANDSHAKE_FAILED] = "failed",
    [HANDSHAKE_TIMEOUT] = "timeout", [HANDSHAKE_ABORTED] = "aborted", [HANDSHAKE_PASSED] = "passed",
    [HANDSHAKE_SHED] = "shed",       [HANDSHAKE_LIMITED] = "limited",
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

#define ROW(name, member, key, help)                                                               \
    {offsetof(struct thread_metrics, member), "immure_" #member, key, help},
const struct metric_row metrics_gauges[GAUGE_COUNT] = {METRICS_GAUGES(ROW)};
const struct metric_row metrics_counters[COUNTER_COUNT] = {METRICS_COUNTERS(ROW)};
#undef ROW

static size_t sign_count(const struct thread_metrics *metrics)
{
    uint32_t count = atomic_load_explicit(&metrics->sign_count, memory_order_acquire);
    return count < SIGN_METRICS_MAX ? count : SIGN_METRICS_MAX;
}

struct sign_metrics *metrics_sign(struct thread_metrics *metrics, uint16_t scheme,
                                  const char *backend)
{
    size_t count = sign_count(metrics);
    for (size_t i = 0; i < count; i++) {
        struct sign_metrics *row = &metrics->sign[i];
        if (row->scheme == scheme && strncmp(row->backend, backend, sizeof row->backend) == 0)
            return row;
    }
    if (count == SIGN_METRICS_MAX)
        return NULL;
    struct sign_metrics *row = &metrics->sign[count];
    row->scheme = scheme;
    memcpy(row->backend, backend, strnlen(backend, sizeof row->backend));
    /* The release order makes scheme and backend visible to every reader that sees the row. */
    atomic_store_explicit(&metrics->sign_count, (uint32_t)count + 1, memory_order_release);
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
    return i < sign_count(metrics) ? &metrics->sign[i] : NULL;
}
