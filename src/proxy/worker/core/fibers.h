/*
 * The fibers of a thread: the stacks on which libssl pauses. libcrypto keeps those that were used
 * for the next handshakes; after a storm they are given back.
 */
#ifndef PROXY_WORKER_CORE_FIBERS_H
#define PROXY_WORKER_CORE_FIBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/worker/core/heap_trim.h"

struct fibers {
    struct loop *loop;
    struct heap_trim *heap; /* told when they have been given back to it */
    size_t paused, most;    /* now, and at once since the last were given back */
    uint64_t paused_at;     /* the last time */
    struct timer quiet;
};

void fibers_init(struct fibers *fibers, struct loop *loop, struct heap_trim *heap);
/* On the thread that will use them. False: handshakes cannot pause. */
bool fibers_open(void);
void fibers_close(void);

/* A handshake step has ended: whether it found a fiber paused, and whether it left one so. */
void fibers_note(struct fibers *fibers, bool was, bool is);

#endif
