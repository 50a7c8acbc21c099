#include "proxy/worker/core/confine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "walls/allocator.h"
#include "walls/filter.h"
#include "walls/landlock.h"
#include "walls/seal.h"

#ifdef IMMURE_SANITIZE

bool confine_process(const struct proxy_config *config, struct report *report)
{
    (void)config;
    report_note(report, "landlock", false, "built with sanitizers");
    return true;
}

bool confine_calls(struct report *report)
{
    log_warning("BUILT WITH SANITIZERS (%s): the worker is dumpable and takes every system call",
                IMMURE_SANITIZE);
    report_note(report, "system calls", false, "built with sanitizers");
    return true;
}

#else

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static bool failed(const char *what)
{
    log_error("%s: %s", what, strerror(errno));
    return false;
}

static bool give_up_files(const struct proxy_config *config, struct report *report)
{
    struct landlock_exceptions exceptions = {.files = false};
    uint16_t *ports = calloc(config->server_count + 1, sizeof *ports);
    if (ports == NULL)
        return failed("landlock");
    exceptions.port_count = config_server_ports(config, ports);
    exceptions.ports = ports;
    landlock_apply(&exceptions, report);
    free(ports);
    return true;
}

bool confine_process(const struct proxy_config *config, struct report *report)
{
    tzset(); /* the log's gmtime_r() would read the time zone file at its first call */
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) != 0)
        return failed("RLIMIT_CORE");
    report_note(report, "core files", true, "none: RLIMIT_CORE is 0");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return failed("PR_SET_DUMPABLE");
    report_note(report, "memory", true, "not dumpable: no ptrace, no /proc/PID/mem but for root");
    bool refused = prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
    report_note(report, "code", refused, "%s",
                refused ? "memory once written is never run: MDWE" : strerror(errno));
    if (!allocator_settle(config->workers + 2)) /* two more: the main and the admin thread */
        return failed("threads");
    seal_code(report);
    return give_up_files(config, report);
}

/* What the C library, libcrypto, libssl and libmicrohttpd need to serve, apart from memory. */
static const int allowed_calls[] = {
    /* the event loops, the admin page, the log, the worker's figures about itself */
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(poll),
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(pread64),
    SCMP_SYS(lseek), SCMP_SYS(getdents64), SCMP_SYS(newfstatat), SCMP_SYS(fstat),
    SCMP_SYS(getrusage),
    /* connections; immured's come from the master as descriptors */
    SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(shutdown), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
    SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(fcntl),
    /* threads and time */
    SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sched_getaffinity), SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* the first calls of a new thread */
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    /* libcrypto's random generator, which recognizes a fork by the new pid */
    SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), -1};

static int fill(scmp_filter_ctx filter, const void *arg)
{
    (void)arg;
    static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6};
    int result = filter_allow(filter, allowed_calls);
    if (result == 0)
        result = filter_allow_memory(filter);
    /* libmicrohttpd's thread may not have set its name yet */
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                                  SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    for (size_t i = 0; i < sizeof families / sizeof families[0] && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                                  SCMP_A0(SCMP_CMP_EQ, families[i]),
                                  SCMP_A1(SCMP_CMP_EQ, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC));
    return result;
}

bool confine_calls(struct report *report)
{
    return filter_load(fill, NULL, report);
}

#endif
