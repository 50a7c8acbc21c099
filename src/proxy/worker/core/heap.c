#include "proxy/worker/core/heap.h"

#include <malloc.h>

#include "base/clock.h"

/* What so many leave is not worth a system call. */
#define CONNECTIONS_KEPT 64
#define QUIET_TIME NS_PER_S

void heap_note(struct heap *heap, size_t connections, uint64_t now)
{
    if (connections > heap->most)
        heap->most = connections;
    heap->due = connections == 0 && heap->most > CONNECTIONS_KEPT ? now + QUIET_TIME : UINT64_MAX;
}

void heap_note_freed(struct heap *heap, size_t connections, uint64_t now)
{
    heap->most = SIZE_MAX;
    heap_note(heap, connections, now);
}

uint64_t heap_deadline(const struct heap *heap)
{
    return heap->due;
}

void heap_trim(struct heap *heap, size_t connected, uint64_t now)
{
    if (now < heap->due)
        return;
    if (connected > 0) {
        heap->due = now + QUIET_TIME; /* they are other threads' */
        return;
    }
    *heap = HEAP_INIT;
    malloc_trim(0);
}
