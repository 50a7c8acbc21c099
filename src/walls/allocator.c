#include "walls/allocator.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#define BLOCKS 16
#define BLOCK_SIZE (100 * 1024) /* small enough to come from the heap, not from mmap() */

/* Grows the heap and shrinks it by more than glibc's trim threshold. */
static void *grow_and_shrink(void *settled)
{
    void *blocks[BLOCKS];
    size_t count = 0;
    while (count < BLOCKS && (blocks[count] = malloc(BLOCK_SIZE)) != NULL)
        count++;
    *(bool *)settled = count == BLOCKS;
    while (count > 0)
        free(blocks[--count]);
    return NULL;
}

bool allocator_settle(unsigned threads)
{
    pthread_t thread;
    bool settled = false;
    mallopt(M_ARENA_MAX, (int)threads + 1);
    errno = pthread_create(&thread, NULL, grow_and_shrink, &settled);
    if (errno == 0)
        errno = pthread_join(thread, NULL);
    return settled;
}
