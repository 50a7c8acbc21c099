/*
 * Gives back to the kernel what a thread's heap keeps of connections that have ended. This happens
 * only when no client has been connected to the worker for a while: the time of malloc_trim() grows
 * without a bound with what it finds, and it blocks every thread that allocates meanwhile.
 */
#ifndef PROXY_WORKER_CORE_HEAP_TRIM_H
#define PROXY_WORKER_CORE_HEAP_TRIM_H

#include <stddef.h>

#include "loop/loop.h"

struct heap_trim {
    struct loop *loop;
    const _Atomic size_t *connected; /* connections of all threads */
    size_t connections, most;        /* of this thread: now; the most since the last trim */
    struct timer quiet;
};

void heap_trim_init(struct heap_trim *trim, struct loop *loop, const _Atomic size_t *connected);
/* Notes how many connections the thread has now. */
void heap_trim_note(struct heap_trim *trim, size_t connections);
/* Notes that more memory has been freed than the number of connections suggests. */
void heap_trim_note_freed(struct heap_trim *trim);

#endif
