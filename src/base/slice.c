#include "base/slice.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define SHORTEST (100 * NS_PER_US)
#define NICE_AHEAD (-10)

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

void slice_precede(void)
{
    const struct sched_param least = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &least) == 0)
        return;
    slice_set(SHORTEST);
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_AHEAD); /* takes effect only if permitted */
}
