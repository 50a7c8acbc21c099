/*
 * How many connections may be open: a limit that all threads share, and what each thread has of it.
 * The thread's heap is told, which is trimmed by that number.
 */
#ifndef PROXY_WORKER_CORE_PLACES_H
#define PROXY_WORKER_CORE_PLACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/worker/core/heap_trim.h"

/* Of all threads together. */
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

/* `emptied` is the owner's. */
void places_init(struct places *places, struct connection_limit *limit, struct loop *loop,
                 void (*emptied)(struct places *places));
/* Whether a connection may be opened. Every place that is taken is given back. */
bool places_take(struct places *places);
void places_give(struct places *places);

#endif
