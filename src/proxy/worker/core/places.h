/*
 * How many connections may be open: a limit that all threads share, and what each thread has of it.
 * The thread's heap is told, which is trimmed by that number.
 */
#ifndef PROXY_WORKER_CORE_PLACES_H
#define PROXY_WORKER_CORE_PLACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/worker/core/heap.h"

/* Of all threads together. */
struct connection_limit {
    size_t most;
    _Atomic size_t taken;
};

struct places {
    struct connection_limit *limit;
    size_t count; /* connections of this thread */
    struct heap heap;
};

/* Whether a connection may be opened. Every place that is taken is given back. */
bool places_take(struct places *places, uint64_t now);
void places_give(struct places *places, uint64_t now);
/* Gives memory of closed connections back to the system when it is time to. */
void places_trim(struct places *places, uint64_t now);

#endif
