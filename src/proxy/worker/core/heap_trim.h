/*
 * What a thread's heap keeps of connections that have ended. It is given back when nobody has been
 * connected to the worker for a while, and not before: malloc_trim() has no bound on its time,
 * which grows with what it finds, and holds up every thread that allocates.
 */
#ifndef PROXY_WORKER_CORE_HEAP_TRIM_H
#define PROXY_WORKER_CORE_HEAP_TRIM_H

#include <stddef.h>

#include "loop/loop.h"

struct heap_trim {
    struct loop *loop;
    const _Atomic size_t *connected; /* connections of all threads */
    size_t connections, most;        /* now; at once since it was given back */
    struct timer quiet;
};

void heap_trim_init(struct heap_trim *trim, struct loop *loop, const _Atomic size_t *connected);
/* So many connections has this thread now. */
void heap_trim_note(struct heap_trim *trim, size_t connections);
/* It holds more that was freed than its connections tell. */
void heap_trim_note_freed(struct heap_trim *trim);

#endif
