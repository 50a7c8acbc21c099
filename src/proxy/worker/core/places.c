#include "proxy/worker/core/places.h"

void places_init(struct places *places, struct connection_limit *limit, struct loop *loop,
                 void (*emptied)(struct places *places))
{
    *places = (struct places){.limit = limit, .emptied = emptied};
    heap_trim_init(&places->heap, loop, &limit->taken);
}

bool places_take(struct places *places)
{
    struct connection_limit *limit = places->limit;
    if (atomic_fetch_add_explicit(&limit->taken, 1, memory_order_relaxed) >= limit->most) {
        atomic_fetch_sub_explicit(&limit->taken, 1, memory_order_relaxed);
        return false;
    }
    heap_trim_note(&places->heap, ++places->count);
    return true;
}

void places_give(struct places *places)
{
    heap_trim_note(&places->heap, --places->count);
    atomic_fetch_sub_explicit(&places->limit->taken, 1, memory_order_relaxed);
    if (places->count == 0)
        places->emptied(places);
}
