#include "proxy/shared/metrics_history.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

/* The memory that processes share. */
struct metrics_memory {
    atomic_bool draining; /* set by the master */
    atomic_bool shown;    /* set by the worker, or by the master after the worker has ended */
    struct thread_metrics threads[];
};

static bool read_flag(const atomic_bool *flag)
{
    return atomic_load_explicit(flag, memory_order_acquire);
}

static size_t memory_size(unsigned thread_count)
{
    return sizeof(struct metrics_memory) + thread_count * sizeof(struct thread_metrics);
}

void metrics_history_init(struct metrics_history *history)
{
    history->past = (struct metrics_sum){0};
    list_init(&history->generations);
}

static bool add_generation(struct metrics_sum *sum, const struct generation_metrics *metrics)
{
    bool good = true;
    for (unsigned i = 0; i < metrics->thread_count; i++)
        good = metrics_sum_add_thread(sum, &metrics->memory->threads[i]) && good;
    return good;
}

bool metrics_history_sum(const struct metrics_history *history,
                         const struct generation_metrics *own, struct metrics_sum *sum)
{
    bool good = metrics_sum_copy(sum, &history->past), older_shown = false;
    list_for_each(node, &history->generations)
    {
        const struct generation_metrics *metrics =
            list_entry(node, struct generation_metrics, node);
        if (metrics == own)
            return (older_shown || add_generation(sum, own)) && good;
        older_shown = older_shown || read_flag(&metrics->memory->shown);
        good = add_generation(sum, metrics) && good;
    }
    return good;
}

void generation_metrics_shown(const struct generation_metrics *own, bool shown)
{
    atomic_store_explicit(&own->memory->shown, shown, memory_order_release);
}

struct metrics_draining metrics_history_draining(const struct metrics_history *history)
{
    struct metrics_draining draining = {0};
    list_for_each(node, &history->generations)
    {
        const struct generation_metrics *metrics =
            list_entry(node, struct generation_metrics, node);
        if (!read_flag(&metrics->memory->draining))
            continue;
        draining.workers++;
        for (unsigned i = 0; i < metrics->thread_count; i++)
            draining.connections += metrics_gauge(&metrics->memory->threads[i], GAUGE_CONNECTIONS);
    }
    return draining;
}

void metrics_history_hide(const struct metrics_history *history)
{
    list_for_each(node, &history->generations)
    {
        const struct generation_metrics *metrics =
            list_entry(node, struct generation_metrics, node);
        munmap(metrics->memory, memory_size(metrics->thread_count));
    }
}

/* ---- one generation ---- */

struct generation_metrics *generation_metrics_new(struct metrics_history *history,
                                                  unsigned thread_count)
{
    struct generation_metrics *metrics = malloc(sizeof *metrics);
    void *memory = mmap(NULL, memory_size(thread_count), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (metrics == NULL || memory == MAP_FAILED) {
        if (memory != MAP_FAILED)
            munmap(memory, memory_size(thread_count));
        free(metrics);
        return NULL;
    }
    metrics->thread_count = thread_count;
    metrics->memory = memory;
    list_append(&history->generations, &metrics->node);
    return metrics;
}

struct thread_metrics *generation_metrics_thread(const struct generation_metrics *metrics,
                                                 unsigned thread)
{
    return &metrics->memory->threads[thread];
}

void generation_metrics_drain(struct generation_metrics *metrics)
{
    atomic_store_explicit(&metrics->memory->draining, true, memory_order_release);
}

void generation_metrics_worker_ended(struct generation_metrics *metrics)
{
    atomic_store_explicit(&metrics->memory->draining, false, memory_order_release);
    generation_metrics_shown(metrics, false);
    for (unsigned i = 0; i < metrics->thread_count; i++)
        metrics_clear_gauges(&metrics->memory->threads[i]);
}

void generation_metrics_free(struct metrics_history *history, struct generation_metrics *metrics)
{
    if (metrics == NULL)
        return;
    generation_metrics_worker_ended(metrics);
    if (!add_generation(&history->past, metrics))
        log_error("out of memory: the figures lack the signatures of a worker that has ended");
    /* A compromised worker may have written to these gauges. */
    memset(history->past.gauges, 0, sizeof history->past.gauges);
    list_remove(&metrics->node);
    munmap(metrics->memory, memory_size(metrics->thread_count));
    free(metrics);
}
