/* malloc() in a sandbox without files. */
#ifndef WALLS_ALLOCATOR_H
#define WALLS_ALLOCATOR_H

#include <stdbool.h>

/* Makes glibc's malloc() read now the files that it would otherwise read later: the number of CPUs,
 * when it creates its ninth arena, and the overcommit setting, when a thread's heap shrinks.
 * `threads` is how many threads there will be. False with errno: no thread or no memory. */
bool allocator_settle(unsigned threads);

#endif
