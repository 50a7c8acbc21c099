/* The threads that a process has, its own and those that libraries have started. */
#ifndef WALLS_THREADS_H
#define WALLS_THREADS_H

#include <stddef.h>

/* How many there are now, this one included; 0: there is no /proc to say. */
size_t threads_count(void);

#endif
