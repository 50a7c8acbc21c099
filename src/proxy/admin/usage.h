/* The resources that this process uses. The files of /proc are opened early, before the sandbox
 * forbids it. */
#ifndef PROXY_ADMIN_USAGE_H
#define PROXY_ADMIN_USAGE_H

#include <stdint.h>

struct usage_source;

struct usage {
    double cpu_seconds;        /* user and system, all threads */
    uint64_t resident_bytes;   /* 0: not known */
    uint64_t open_descriptors; /* 0: not known */
};

/* NULL: out of memory. Without /proc only the CPU time is known. */
struct usage_source *usage_source_open(void);
void usage_source_close(struct usage_source *source);
struct usage usage_read(struct usage_source *source);

#endif
