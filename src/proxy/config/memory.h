/* How many client connections the memory that this process may have leaves room for. */
#ifndef PROXY_CONFIG_MEMORY_H
#define PROXY_CONFIG_MEMORY_H

#include <stdint.h>

/* What an idle established connection takes of the worker's memory, rounded up: `script/bench
 * --only idle` prints it. The kernel's part, of two sockets, is not in it. */
#define MEMORY_IDLE_CONNECTION (16 * 1024)

/* Bytes; less than the machine has, if files say so. */
uint64_t memory_allowed(void);

/*
 * What these files say: what the machine has available (MemAvailable of proc(5), which a unit with
 * ProcSubset=pid hides), or what the control groups that this process is in allow, if that is less,
 * of version 2 (memory.max) or 1 (memory.limit_in_bytes). UINT64_MAX: none says anything. `root` is
 * "", but for tests.
 */
uint64_t memory_by_files(const char *root);

#endif
