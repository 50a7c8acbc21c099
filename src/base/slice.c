#include "base/slice.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's struct sched_attr in its first version, which glibc declares from 2.41 on. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

bool slice_set(uint64_t ns)
{
    struct attributes attributes = {.size = sizeof attributes,
                                    .nice = getpriority(PRIO_PROCESS, (id_t)gettid()),
                                    .runtime = ns};
    return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}
