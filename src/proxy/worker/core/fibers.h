/*
 * The fibers of a thread: the stacks on which libssl pauses. libcrypto keeps those that were used
 * for the next handshakes; after a storm they are given back.
 */
#ifndef PROXY_WORKER_CORE_FIBERS_H
#define PROXY_WORKER_CORE_FIBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fibers {
    size_t paused, most; /* now, and at once since the last were given back */
    uint64_t paused_at;  /* the last time */
};

/* On the thread that will use them. False: handshakes cannot pause. */
bool fibers_open(void);
void fibers_close(void);

/* A handshake step has ended: whether it found a fiber paused, and whether it left one so. */
void fibers_note(struct fibers *fibers, bool was, bool is, uint64_t now);
/* When to call fibers_trim(); UINT64_MAX: not now. */
uint64_t fibers_deadline(const struct fibers *fibers);
/* Gives what a storm has left back to the heap, once it has been over for a while; whether it has.
 */
bool fibers_trim(struct fibers *fibers, uint64_t now);

#endif
