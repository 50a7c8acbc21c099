/*
 * The secret memory of the process: one mapping from which everything comes that may hold a part of
 * a key. libcrypto allocates here, threads that sign have their stacks here, key files are read
 * into it.
 *
 * The mapping has its size from the start: nothing may be mapped behind closed doors.
 *
 * Each thread has its own lists of free blocks, and gives back those of others without a lock: no
 * thread ever waits here for one of less weight.
 */
#ifndef KEYD_KEYS_ARENA_H
#define KEYD_KEYS_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "walls/secret_pages.h"

struct arena {
    void *memory; /* NULL: there is none yet */
    size_t size;
    enum secret_pages kind;
};

/* Once, before any other thread runs. `size`: bytes in all, stacks included. False with errno; with
 * `arena` the outcome, and in `reason` why the pages are not secret. */
bool arena_open(size_t size, struct arena *arena, char *reason, size_t reason_size);
/* From here on libcrypto allocates in the arena. Before its first use. False: it was used already.
 */
bool arena_serve_libcrypto(void);

/* As malloc(), realloc() and free(), by any thread. Blocks are wiped when they are given back. NULL
 * with ENOMEM, which is logged once: the arena is full. */
void *arena_alloc(size_t size);
void *arena_realloc(void *memory, size_t size);
void arena_free(void *memory);

#define ARENA_STACK_SIGNER (256 * 1024)
#define ARENA_STACK_LARGE (512 * 1024) /* where modules and the C library's databases run */

/* Calls back on a new stack of `size` bytes within the arena, by the same thread. The stack has a
 * guard page below, is wiped afterwards and not used again. False: the arena is full. */
bool arena_call(size_t size, void (*function)(void *arg), void *arg);

#endif
