/*
 * How many connections may be open: one limit that all threads share, and each thread's part of it.
 * The number is also passed to heap_trim, which decides by it when to trim the heap.
 */
#ifndef PROXY_WORKER_CORE_PLACES_H
#define PROXY_WORKER_CORE_PLACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/worker/core/heap_trim.h"

/* Shared by all threads. */
struct connection_limit {
    size_t most;
    _Atomic size_t taken;
};

struct places {
    struct connection_limit *limit;
    size_t count; /* connections of this thread */
    struct heap_trim heap;
    void (*emptied)(struct places *places); /* the last connection of this thread has gone */
};

void places_init(struct places *places, struct connection_limit *limit, struct loop *loop,
                 void (*emptied)(struct places *places));
/* Returns whether a connection may be opened. Each place that is taken has to be given back. */
bool places_take(struct places *places);
void places_give(struct places *places);

#endif
