#include "proxy/worker/core/heap_trim.h"

#include <malloc.h>
#include <stdatomic.h>

#include "base/clock.h"

/* What this many connections leave behind is not worth a system call. */
#define CONNECTIONS_KEPT 64
#define QUIET_TIME NS_PER_S

static void quiet(struct timer *timer)
{
    struct heap_trim *trim = list_entry(timer, struct heap_trim, quiet);
    if (trim->connections > 0)
        return; /* the timer starts again when the last of them has ended */
    if (atomic_load_explicit(trim->connected, memory_order_relaxed) > 0) {
        timer_start(trim->loop, timer, QUIET_TIME); /* other threads have connections */
        return;
    }
    trim->most = 0;
    malloc_trim(0);
}

void heap_trim_init(struct heap_trim *trim, struct loop *loop, const _Atomic size_t *connected)
{
    *trim = (struct heap_trim){.loop = loop, .connected = connected};
    timer_init(&trim->quiet, quiet);
}

void heap_trim_note(struct heap_trim *trim, size_t connections)
{
    trim->connections = connections;
    if (connections > trim->most)
        trim->most = connections;
    if (connections == 0 && trim->most > CONNECTIONS_KEPT)
        timer_start(trim->loop, &trim->quiet, QUIET_TIME);
}

void heap_trim_note_freed(struct heap_trim *trim)
{
    trim->most = SIZE_MAX;
    heap_trim_note(trim, trim->connections);
}
