/* How much memory this process may use, which limits how many client connections it can have. */
#ifndef PROXY_CONFIG_MEMORY_H
#define PROXY_CONFIG_MEMORY_H

#include <stdint.h>

/* The worker's memory for an idle established connection, rounded up; `script/bench --only idle`
 * measures it. The kernel's memory for its two sockets is not included. */
#define MEMORY_IDLE_CONNECTION (16 * 1024)

/* In bytes: the memory of the machine, or less if memory_by_files() says so. */
uint64_t memory_allowed(void);

/*
 * The available memory of the machine (MemAvailable of proc(5), which a unit with ProcSubset=pid
 * hides), or the limit of a control group of this process, if that is less: memory.max in version
 * 2, memory.limit_in_bytes in version 1. UINT64_MAX: no file says anything. `root` is "" except in
 * tests.
 */
uint64_t memory_by_files(const char *root);

#endif
