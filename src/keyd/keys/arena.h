/*
 * The secret memory of the process: one mapping that holds everything that may contain a part of a
 * key. libcrypto allocates here, threads that sign have their stacks here, and key files are read
 * into it.
 *
 * The mapping has its full size from the start, because the sandbox forbids new ones.
 *
 * Each thread has its own lists of free blocks, and returns blocks of others without a lock, so no
 * thread ever waits here for one of less scheduling weight.
 */
#ifndef KEYD_KEYS_ARENA_H
#define KEYD_KEYS_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "walls/secret_pages.h"

struct arena {
    void *memory; /* NULL: not mapped yet */
    size_t size;
    enum secret_pages kind;
};

/* Call it once, before any other thread runs. `size`: bytes in all, stacks included. Sets `arena`,
 * and `reason` if the pages are not secret. False with errno. */
bool arena_open(size_t size, struct arena *arena, char *reason, size_t reason_size);
/* Makes libcrypto allocate in the arena. False: libcrypto was already in use. */
bool arena_serve_libcrypto(void);

/* Like malloc(), realloc() and free(), for any thread. Blocks are wiped when they are freed. NULL
 * with ENOMEM if the arena is full, which is logged once. */
void *arena_alloc(size_t size);
void *arena_realloc(void *memory, size_t size);
void arena_free(void *memory);

#define ARENA_STACK_SIGNER (256 * 1024)
#define ARENA_STACK_LARGE (512 * 1024) /* for modules and the C library's databases */

/* Calls the function on a new stack of `size` bytes within the arena, on the same thread. The stack
 * has a guard page below it, and is wiped afterwards and not used again. False: the arena is full.
 */
bool arena_call(size_t size, void (*function)(void *arg), void *arg);

#endif
