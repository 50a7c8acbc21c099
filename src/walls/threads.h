/* Counts the threads of this process, including those that libraries have started. */
#ifndef WALLS_THREADS_H
#define WALLS_THREADS_H

#include <stddef.h>

/* The number of threads, including the caller; 0 if there is no /proc. */
size_t threads_count(void);

#endif
