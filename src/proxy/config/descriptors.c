#include "proxy/config/descriptors.h"

#include <sys/resource.h>

/* One to the client and one to the backend. */
#define PER_CONNECTION 2
#define PER_THREAD 8
#define OTHERS 64

uint64_t descriptors_connections(unsigned workers)
{
    struct rlimit limit = {.rlim_cur = 0};
    getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t reserved = (uint64_t)workers * PER_THREAD + OTHERS;
    return limit.rlim_cur > reserved + PER_CONNECTION ? (limit.rlim_cur - reserved) / PER_CONNECTION
                                                      : 1;
}
