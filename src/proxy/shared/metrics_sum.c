#include "proxy/shared/metrics_sum.h"

#include <stdlib.h>
#include <string.h>

#include "immure/scheme.h"

static uint64_t read_at(const struct thread_metrics *thread, size_t offset)
{
    return metric_read((const metric *)((const char *)thread + offset));
}

uint64_t metrics_gauge(const struct thread_metrics *thread, enum metrics_gauge gauge)
{
    return read_at(thread, metrics_gauges[gauge].offset);
}

void metrics_clear_gauges(struct thread_metrics *thread)
{
    for (size_t i = 0; i < GAUGE_COUNT; i++)
        atomic_store_explicit((metric *)((char *)thread + metrics_gauges[i].offset), 0,
                              memory_order_relaxed);
}

/* ---- signatures ---- */

/* The row of this algorithm and backend, created if necessary. NULL: out of memory, or too many
 * rows. */
static struct sign_sum *sign_row(struct metrics_sum *sum, const char *algorithm,
                                 const char *backend)
{
    for (size_t i = 0; i < sum->sign_count; i++) {
        struct sign_sum *row = &sum->signs[i];
        if (strcmp(row->algorithm, algorithm) == 0 && strcmp(row->backend, backend) == 0)
            return row;
    }
    struct sign_sum *rows = sum->sign_count < SIGN_SUMS_MAX
                                ? reallocarray(sum->signs, sum->sign_count + 1, sizeof *rows)
                                : NULL;
    if (rows == NULL)
        return NULL;
    sum->signs = rows;
    struct sign_sum *row = &rows[sum->sign_count++];
    memset(row, 0, sizeof *row);
    row->algorithm = algorithm;
    memcpy(row->backend, backend, strlen(backend) + 1);
    return row;
}

/* Copies only lower-case letters, digits and '-', because the shared memory is not trusted. */
static void copy_backend(char *name, const struct sign_metrics *from)
{
    size_t length = 0;
    memcpy(name, from->backend, SIGN_BACKEND_SIZE);
    name[SIGN_BACKEND_SIZE] = '\0';
    for (; name[length] != '\0'; length++)
        if ((name[length] < 'a' || name[length] > 'z') &&
            (name[length] < '0' || name[length] > '9') && name[length] != '-')
            name[length] = '?';
}

static bool add_sign(struct metrics_sum *sum, const struct sign_metrics *from)
{
    char backend[SIGN_BACKEND_SIZE + 1];
    copy_backend(backend, from);
    struct sign_sum *row = sign_row(sum, immure_scheme_name(from->scheme), backend);
    if (row == NULL)
        return sum->sign_count == SIGN_SUMS_MAX; /* only a compromised worker has this many */
    histogram_merge(&row->sign, &from->sign);
    histogram_merge(&row->queue, &from->queue);
    histogram_merge(&row->round_trip, &from->round_trip);
    row->errors += metric_read(&from->errors);
    uint64_t last_at = metric_read(&from->last_at);
    if (last_at >= row->last_at) {
        row->last_at = last_at;
        row->last_sign = metric_read(&from->last_sign);
    }
    return true;
}

/* ---- all of it ---- */

bool metrics_sum_add_thread(struct metrics_sum *sum, const struct thread_metrics *thread)
{
    bool good = true;
    for (size_t i = 0; i < GAUGE_COUNT; i++)
        sum->gauges[i] += read_at(thread, metrics_gauges[i].offset);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        sum->counters[i] += read_at(thread, metrics_counters[i].offset);
    for (size_t version = 0; version < VERSION_COUNT; version++)
        for (size_t result = 0; result < HANDSHAKE_RESULT_COUNT; result++)
            sum->handshakes[version][result] += metric_read(&thread->handshakes[version][result]);
    for (size_t i = 0; i < CONNECTION_END_COUNT; i++)
        sum->ends[i] += metric_read(&thread->ends[i]);
    histogram_merge(&sum->turn, &thread->turn);
    histogram_merge(&sum->turn_cpu, &thread->turn_cpu);
    histogram_merge(&sum->handshake, &thread->handshake);
    const struct sign_metrics *sign;
    for (size_t i = 0; (sign = metrics_sign_row(thread, i)) != NULL; i++)
        good = add_sign(sum, sign) && good;
    return good;
}

bool metrics_sum_copy(struct metrics_sum *sum, const struct metrics_sum *from)
{
    size_t size = from->sign_count * sizeof *from->signs;
    memcpy(sum, from, sizeof *sum);
    sum->signs = NULL;
    if (size == 0)
        return true;
    sum->signs = malloc(size);
    if (sum->signs != NULL)
        memcpy(sum->signs, from->signs, size);
    else
        sum->sign_count = 0;
    return sum->signs != NULL;
}

void metrics_sum_release(struct metrics_sum *sum)
{
    free(sum->signs);
    sum->signs = NULL;
    sum->sign_count = 0;
}
