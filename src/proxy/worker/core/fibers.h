/*
 * The fibers of a thread: the stacks on which libssl pauses. libcrypto keeps used fibers for the
 * next handshakes; when a storm of handshakes is over, their memory is freed.
 */
#ifndef PROXY_WORKER_CORE_FIBERS_H
#define PROXY_WORKER_CORE_FIBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/worker/core/heap_trim.h"

struct fibers {
    struct loop *loop;
    struct heap_trim *heap; /* notified when fibers have been freed */
    size_t paused, most;    /* now, and the most at one time since fibers were last freed */
    uint64_t paused_at;     /* when a fiber last paused */
    struct timer quiet;
};

void fibers_init(struct fibers *fibers, struct loop *loop, struct heap_trim *heap);
/* To be called on the thread that will use them. False: handshakes cannot pause. */
bool fibers_open(void);
void fibers_close(void);

/* Notes for one handshake whether it had a paused fiber before (`was`) and has one now (`is`). */
void fibers_note(struct fibers *fibers, bool was, bool is);

#endif
