/*
 * Why immured has an allocator of its own.
 *
 * libcrypto copies parts of a key wherever it computes: into BIGNUMs, Montgomery contexts, stacks.
 * Its own secure heap (OPENSSL_secure_malloc) holds only what its authors put there, takes one lock
 * for all threads, and lies in ordinary pages that root can read. So everything libcrypto allocates
 * comes from pages that not even the kernel maps (memfd_secret), and the stacks on which keys are
 * used lie there, too.
 *
 * malloc() cannot use such pages. It asks the kernel for more when it needs more, but inside the
 * sandbox the kernel gives no more secret pages; and it does not wipe freed blocks. This allocator
 * has its full size from the start, and wipes a block when it is freed.
 *
 * There is no lock, because the threads have different scheduling weights. If the event loop waited
 * for a lock that a thread of the least weight holds, it would wait for that thread to get a
 * processor, which has no bound on a busy machine. Each thread therefore has its own lists of free
 * blocks. A block that another thread frees goes onto a list of its owner by one compare-and-swap.
 * The owner takes that whole list when its own is empty, so that the list has one consumer and no
 * ABA problem. New threads use the heaps of threads that have ended.
 *
 * Blocks are not split or joined. A process that signs allocates the same sizes again and again, so
 * its use of memory settles after the first signatures of each kind. When all is used up, a block
 * of a slightly larger class serves.
 */
#include "keyd/keys/arena.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/log.h"

/* The sizes of blocks, with their headers: multiples of 16 up to 128, then four steps of equal size
 * to each next power of two. */
#define FINE_STEP 16
#define FINE_CLASSES 7 /* 32, 48 ... 128 */
#define FINE_BITS 7
#define COARSE_POWERS 15 /* 2^8 ... 2^22 */
#define CLASS_COUNT (FINE_CLASSES + 4 * COARSE_POWERS)
#define BLOCK_MAX ((size_t)1 << (FINE_BITS + COARSE_POWERS))
/* A free block up to this many classes larger is used when the arena is exhausted. */
#define CLASSES_LARGER 8

struct arena_heap;

struct arena_block {
    struct arena_heap *owner;
    uint32_t class;
    uint32_t used; /* bytes that were asked for, or BLOCK_FREE */
};

#define BLOCK_FREE UINT32_MAX

struct free_block {
    struct arena_block block;
    struct free_block *next;
};

/* A heap belongs to one thread, and to another when that one has ended. */
struct arena_heap {
    struct free_block *free[CLASS_COUNT];
    _Atomic(struct free_block *) returned; /* freed by other threads */
    struct arena_heap *next;               /* in the list of heaps without a thread */
};

static struct {
    uintptr_t begin, end;
    atomic_uintptr_t fresh; /* where the part that was never used begins */
    atomic_bool full;       /* and this was logged */
    pthread_key_t key;
    pthread_mutex_t lock; /* of `idle`; only taken when threads begin and end */
    struct arena_heap *idle;
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct arena_heap *own_heap;

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t up_to(size_t size, size_t multiple)
{
    return (size + multiple - 1) / multiple * multiple;
}

static void heap_leave(void *heap);

bool arena_open(size_t size, struct arena *opened, char *reason, size_t reason_size)
{
    if (arena.begin != 0 || pthread_key_create(&arena.key, heap_leave) != 0) {
        errno = EBUSY;
        return false;
    }
    size = up_to(size, page_size());
    *opened = (struct arena){.size = size};
    void *pages = secret_pages_map(size, &opened->kind, reason, reason_size);
    if (pages == NULL)
        return false;
    opened->memory = pages;
    arena.begin = (uintptr_t)pages;
    arena.end = arena.begin + size;
    atomic_store(&arena.fresh, arena.begin);
    return true;
}

/* The next `size` unused bytes, aligned; NULL: not enough are left. */
static void *carve(size_t size, size_t alignment)
{
    uintptr_t before = atomic_load(&arena.fresh), begin;
    do {
        begin = up_to(before, alignment);
        if (begin > arena.end || size > arena.end - begin)
            return NULL;
    } while (!atomic_compare_exchange_weak(&arena.fresh, &before, begin + size));
    return (void *)begin;
}

/* ---- blocks ---- */

static unsigned class_of(size_t size)
{
    if (size <= (size_t)1 << FINE_BITS)
        return size <= 2 * FINE_STEP ? 0 : (unsigned)((size + FINE_STEP - 1) / FINE_STEP - 2);
    unsigned power = 63 - (unsigned)__builtin_clzl(size - 1); /* 2^power < size <= 2^(power + 1) */
    size_t step = (size_t)1 << (power - 2);
    unsigned quarter = (unsigned)((size - ((size_t)1 << power) + step - 1) / step);
    return FINE_CLASSES + 4 * (power - FINE_BITS) + quarter - 1;
}

static size_t class_size(unsigned class)
{
    if (class < FINE_CLASSES)
        return FINE_STEP * (class + 2);
    unsigned power = FINE_BITS + (class - FINE_CLASSES) / 4;
    size_t quarters = 1 + (class - FINE_CLASSES) % 4;
    return ((size_t)1 << power) + (quarters << (power - 2));
}

static void heap_leave(void *heap)
{
    own_heap = NULL;
    pthread_mutex_lock(&arena.lock);
    ((struct arena_heap *)heap)->next = arena.idle;
    arena.idle = heap;
    pthread_mutex_unlock(&arena.lock);
}

static struct arena_heap *heap_enter(void)
{
    pthread_mutex_lock(&arena.lock);
    struct arena_heap *heap = arena.idle;
    if (heap != NULL)
        arena.idle = heap->next;
    pthread_mutex_unlock(&arena.lock);
    if (heap == NULL)
        heap = carve(sizeof *heap, FINE_STEP); /* fresh memory is all zero */
    if (heap != NULL)
        pthread_setspecific(arena.key, heap);
    own_heap = heap;
    return heap;
}

static void heap_collect(struct arena_heap *heap)
{
    struct free_block *block = atomic_exchange(&heap->returned, NULL);
    while (block != NULL) {
        struct free_block *next = block->next;
        block->next = heap->free[block->block.class];
        heap->free[block->block.class] = block;
        block = next;
    }
}

static struct arena_block *heap_take(struct arena_heap *heap, unsigned class)
{
    struct free_block *taken = heap->free[class];
    if (taken == NULL)
        return NULL;
    heap->free[class] = taken->next;
    taken->next = NULL;
    return &taken->block;
}

static struct arena_block *heap_find(struct arena_heap *heap, unsigned class)
{
    struct arena_block *block = heap_take(heap, class);
    if (block != NULL)
        return block;
    heap_collect(heap);
    if ((block = heap_take(heap, class)) != NULL)
        return block;
    if ((block = carve(class_size(class), FINE_STEP)) != NULL) {
        block->owner = heap;
        block->class = class;
        return block;
    }
    for (unsigned larger = class + 1;
         larger < CLASS_COUNT && larger <= class + CLASSES_LARGER && block == NULL; larger++)
        block = heap_take(heap, larger);
    return block;
}

void *arena_alloc(size_t size)
{
    struct arena_heap *heap = own_heap != NULL ? own_heap : heap_enter();
    struct arena_block *block = NULL;
    if (heap != NULL && size <= BLOCK_MAX - sizeof *block)
        block = heap_find(heap, class_of(size + sizeof *block));
    if (block != NULL) {
        block->used = (uint32_t)size;
        return block + 1;
    }
    if (!atomic_exchange(&arena.full, true))
        log_error("the secret memory is full (%zu KiB): no room for %zu bytes",
                  (arena.end - arena.begin) / 1024, size);
    errno = ENOMEM;
    return NULL;
}

/* Code that frees what is not allocated is broken, and has keys in reach; so the process ends. */
static struct arena_block *block_of(void *memory)
{
    struct arena_block *block = (struct arena_block *)memory - 1;
    if ((uintptr_t)block >= arena.begin && (uintptr_t)memory < arena.end &&
        block->used != BLOCK_FREE && block->class < CLASS_COUNT)
        return block;
    log_error("a block of secret memory is freed that is not in use: ending");
    abort();
}

void arena_free(void *memory)
{
    if (memory == NULL)
        return;
    struct free_block *block = (struct free_block *)block_of(memory);
    struct arena_heap *owner = block->block.owner;
    OPENSSL_cleanse(memory, block->block.used);
    block->block.used = BLOCK_FREE;
    if (owner == own_heap) {
        block->next = owner->free[block->block.class];
        owner->free[block->block.class] = block;
        return;
    }
    block->next = atomic_load(&owner->returned);
    while (!atomic_compare_exchange_weak(&owner->returned, &block->next, block))
        continue;
}

void *arena_realloc(void *memory, size_t size)
{
    if (memory == NULL)
        return arena_alloc(size);
    struct arena_block *block = block_of(memory);
    if (size >= block->used && size <= class_size(block->class) - sizeof *block) {
        block->used = (uint32_t)size;
        return memory;
    }
    void *moved = arena_alloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, memory, size < block->used ? size : block->used);
    arena_free(memory);
    return moved;
}

/* ---- libcrypto ---- */

#ifdef IMMURE_SANITIZE

/* The sanitizer finds more in memory that it has allocated itself. */
bool arena_serve_libcrypto(void)
{
    return true;
}

#else

static void *serve_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return arena_alloc(size);
}

/* libcrypto expects a size of 0 to free the block. */
static void *serve_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    if (size > 0 || memory == NULL)
        return arena_realloc(memory, size);
    arena_free(memory);
    return NULL;
}

static bool is_own(const void *memory)
{
    return (uintptr_t)memory >= arena.begin && (uintptr_t)memory < arena.end;
}

/* Third-party modules have libcrypto free what they got from malloc(). */
static void serve_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    if (is_own(memory))
        arena_free(memory);
    else
        free(memory);
}

/* Third-party modules pass to free() what they got from libcrypto (tpm2-openssl does), so this
 * program has a free() that handles both. */
void __libc_free(void *memory); /* NOLINT(bugprone-reserved-identifier) */

void free(void *memory)
{
    if (is_own(memory))
        arena_free(memory);
    else
        __libc_free(memory);
}

bool arena_serve_libcrypto(void)
{
    return CRYPTO_set_mem_functions(serve_malloc, serve_realloc, serve_free) == 1;
}

#endif

/* ---- stacks ---- */

#ifdef IMMURE_SANITIZE

/* The sanitizer would take another stack for an overflow of the first. */
bool arena_call(size_t size, void (*function)(void *arg), void *arg)
{
    (void)size;
    function(arg);
    return true;
}

#else

struct arena_call {
    ucontext_t before, on_stack;
    void (*function)(void *arg);
    void *arg;
};

/* makecontext() can pass only int arguments. */
static _Thread_local struct arena_call *own_call;

static void call_enter(void)
{
    own_call->function(own_call->arg);
}

/* pthread_attr_setstack() would not do: on that stack glibc keeps data that the kernel must access
 * to end a thread, and the kernel cannot access secret pages. */
bool arena_call(size_t size, void (*function)(void *arg), void *arg)
{
    size_t page = page_size();
    size = up_to(size, page);
    uint8_t *guard = carve(size + page, page);
    struct arena_call call = {.function = function, .arg = arg};
    if (guard == NULL || mprotect(guard, page, PROT_NONE) != 0 || getcontext(&call.on_stack) != 0) {
        log_error("no room for a stack of %zu KiB in the secret memory", size / 1024);
        return false;
    }
    call.on_stack.uc_stack = (stack_t){.ss_sp = guard + page, .ss_size = size};
    call.on_stack.uc_link = &call.before;
    makecontext(&call.on_stack, call_enter, 0);
    own_call = &call;
    swapcontext(&call.before, &call.on_stack);
    own_call = NULL;
    OPENSSL_cleanse(guard + page, size);
    return true;
}

#endif
