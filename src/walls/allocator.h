/* malloc() behind closed doors. */
#ifndef WALLS_ALLOCATOR_H
#define WALLS_ALLOCATOR_H

#include <stdbool.h>

/* Has glibc's malloc() look now at the files that it reads at some time or other: the number of
 * CPUs, when there are more heaps than eight, and the kernel's overcommitment of memory, when a
 * thread's heap shrinks. `threads`: that there will be. False with errno: no thread, no memory. */
bool allocator_settle(unsigned threads);

#endif
