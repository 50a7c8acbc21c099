#include "walls/filter.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

int filter_allow(scmp_filter_ctx filter, const int *calls)
{
    int result = 0;
    for (; *calls != -1 && result == 0; calls++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, *calls, 0);
    return result;
}

int filter_allow_memory(scmp_filter_ctx filter)
{
    static const int plain[] = {SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
                                SCMP_SYS(madvise), -1};
    static const int mapping[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect), -1};
    int result = filter_allow(filter, plain);
    for (const int *call = mapping; *call != -1 && result == 0; call++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, *call, 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return result;
}

bool filter_load(int (*fill)(scmp_filter_ctx filter, const void *arg), const void *arg,
                 struct report *report)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int result = filter != NULL ? 0 : -ENOMEM;
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = fill(filter, arg);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result != 0)
        log_error("seccomp: %s", strerror(-result));
    return report_note(report, "system calls", result == 0, "%s",
                       result == 0 ? "a list, seccomp; any other kills the process"
                                   : strerror(-result));
}
