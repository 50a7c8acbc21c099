/* Memory that a device could read. Here that is any memory, but aligned as requested. */
#include <stdlib.h>

#include <qat/qae_mem.h>

void *qaeMemAllocNUMA(size_t size, int node, size_t alignment)
{
    (void)node;
    void *memory;
    return posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, size) ==
                   0
               ? memory
               : NULL;
}

void qaeMemFreeNUMA(void **memory)
{
    free(*memory);
    *memory = NULL;
}

void qaeMemFreeNonZeroNUMA(void **memory)
{
    qaeMemFreeNUMA(memory);
}

uint64_t qaeVirtToPhysNUMA(void *address)
{
    return (uint64_t)(uintptr_t)address;
}

void qaeAtFork(void)
{
}
