#include "proxy/worker/core/places.h"

bool places_take(struct places *places, uint64_t now)
{
    struct connection_limit *limit = places->limit;
    if (atomic_fetch_add_explicit(&limit->taken, 1, memory_order_relaxed) >= limit->most) {
        atomic_fetch_sub_explicit(&limit->taken, 1, memory_order_relaxed);
        return false;
    }
    heap_note(&places->heap, ++places->count, now);
    return true;
}

void places_give(struct places *places, uint64_t now)
{
    heap_note(&places->heap, --places->count, now);
    atomic_fetch_sub_explicit(&places->limit->taken, 1, memory_order_relaxed);
}

void places_trim(struct places *places, uint64_t now)
{
    heap_trim(&places->heap, atomic_load_explicit(&places->limit->taken, memory_order_relaxed),
              now);
}
