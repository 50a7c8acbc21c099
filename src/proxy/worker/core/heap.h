/*
 * What a thread's heap keeps of connections that have ended. It is given back when nobody has been
 * connected to the worker for a while, and not before: malloc_trim() has no bound on its time,
 * which grows with what it finds, and holds up every thread that allocates.
 */
#ifndef PROXY_WORKER_CORE_HEAP_H
#define PROXY_WORKER_CORE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap {
    size_t most;  /* connections at once since it was given back */
    uint64_t due; /* when to try; UINT64_MAX: not */
};

#define HEAP_INIT ((struct heap){.due = UINT64_MAX})

/* So many connections has this thread now. */
void heap_note(struct heap *heap, size_t connections, uint64_t now);
/* It holds more that was freed than its connections tell. */
void heap_note_freed(struct heap *heap, size_t connections, uint64_t now);
/* When to call heap_trim(); UINT64_MAX: not now. */
uint64_t heap_deadline(const struct heap *heap);
/* `connected`: connections of all threads. */
void heap_trim(struct heap *heap, size_t connected, uint64_t now);

#endif
