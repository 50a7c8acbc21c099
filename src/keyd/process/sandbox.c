#include "keyd/process/sandbox.h"

#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/privilege.h"
#include "walls/allocator.h"
#include "walls/filter.h"
#include "walls/landlock.h"
#include "walls/seal.h"
#include "walls/threads.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#define DEFAULT_USER "immured"
#define DEFAULT_UID "65533" /* if there is no such user */
#define DESCRIPTORS_FEW 256 /* for one client, and what modules open */

static bool failed(const char *what)
{
    log_error("%s: %s", what, strerror(errno));
    return false;
}

/* Each client needs one descriptor. */
static bool limit_descriptors(bool accepts, struct report *report)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return failed("RLIMIT_NOFILE");
    if (!accepts && limit.rlim_max > DESCRIPTORS_FEW)
        limit.rlim_max = DESCRIPTORS_FEW;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return failed("RLIMIT_NOFILE");
    return report_note(report, "descriptors", true, "only those it was given, at most %llu",
                       (unsigned long long)limit.rlim_max);
}

static void note_environment(struct report *report)
{
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    report_note(report, "environment", count == 0, count == 0 ? "empty" : "%zu variables", count);
}

bool sandbox_begin(int *keep, size_t count, bool accepts, struct report *report)
{
    note_environment(report);
    if (!descriptor_close_others(keep, count))
        return failed("close_range");
    if (!limit_descriptors(accepts, report))
        return false;
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) != 0)
        return failed("RLIMIT_CORE");
    report_note(report, "core files", true, "none: RLIMIT_CORE is 0");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed("PR_SET_NO_NEW_PRIVS");
    report_note(report, "privileges", true, "no new ones through exec");
    bool refused = prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
    report_note(report, "code", refused,
                refused ? "memory once written is never run: MDWE" : "MDWE: %s", strerror(errno));
    return true;
}

bool sandbox_find_user(const char *user, struct identity *identity)
{
    *identity = (struct identity){.uid = getuid(), .gid = getgid()};
    if (geteuid() != 0 && user == NULL)
        return true;
    if (user == NULL && getpwnam(DEFAULT_USER) != NULL)
        user = DEFAULT_USER;
    if (user == NULL) {
        user = DEFAULT_UID;
        log_info("there is no user \"%s\": becoming uid %s", DEFAULT_USER, user);
    }
    char reason[256];
    if (privilege_find(user, identity, reason, sizeof reason))
        return true;
    log_error("%s", reason);
    return false;
}

static bool listed(const int *calls, int call)
{
    while (*calls != -1 && *calls != call)
        calls++;
    return *calls == call;
}

void sandbox_enter_namespaces(const int *more, struct report *report)
{
    if (listed(more, SCMP_SYS(socket))) {
        report_note(report, "namespaces", false, "none, because a provider needs the network");
        return;
    }
    bool entered = unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0;
    report_note(report, "namespaces", entered,
                entered ? "empty ones of network, IPC and host name" : "unshare: %s",
                strerror(errno));
}

#ifdef IMMURE_SANITIZE

static bool hide_memory(struct report *report)
{
    report_note(report, "memory", false, "built with sanitizers");
    return true;
}

static void give_up_files(const int *more, struct report *report)
{
    (void)more;
    report_note(report, "landlock", false, "built with sanitizers");
}

bool sandbox_close(const struct sandbox_needs *needs, const struct arena *arena,
                   const struct packed *packed, struct report *report)
{
    (void)needs, (void)arena, (void)packed;
    log_warning("BUILT WITH SANITIZERS (%s): immured is dumpable and takes every system call",
                IMMURE_SANITIZE);
    report_note(report, "system calls", false, "built with sanitizers");
    return true;
}

#else

/* A change of the uid resets whether the process is dumpable, so this comes after it. */
static bool hide_memory(struct report *report)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return failed("PR_SET_DUMPABLE");
    return report_note(report, "memory", true,
                       "not dumpable: no ptrace, no /proc/PID/mem but for root");
}

static void give_up_files(const int *more, struct report *report)
{
    const struct landlock_exceptions exceptions = {.files = listed(more, SCMP_SYS(openat)),
                                                   .network = listed(more, SCMP_SYS(socket))};
    landlock_apply(&exceptions, report);
}

/* The calls that the event loop, the C library and libcrypto need, besides memory. */
static const int allowed_calls[] = {
    /* the event loop and the log */
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(recvfrom),
    SCMP_SYS(sendto), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close),
    /* threads and time */
    SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(exit), SCMP_SYS(exit_group),
    /* libcrypto's random generator, which detects a fork by the pid */
    SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), -1};

/* Calls that the libraries of drivers try but can do without, to reach the system log, a file of
 * settings or a plug-in. They fail instead of killing the process. */
static const int refused_calls[] = {SCMP_SYS(socket), SCMP_SYS(openat), SCMP_SYS(newfstatat), -1};

static const unsigned peer_options[] = {SO_PEERCRED, SO_PEERGROUPS};

/* Key files arrive on this socket only; they are read from their descriptors. */
static int allow_hand_over(scmp_filter_ctx filter, int socket)
{
    int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(recvmsg), 1,
                                  SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)socket));
    return result == 0 ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(pread64), 0) : result;
}

static int fill(scmp_filter_ctx filter, const void *arg)
{
    const struct sandbox_needs *wanted = arg;
    int result = filter_allow(filter, allowed_calls);
    if (result == 0)
        result = filter_allow_memory(filter);
    if (result == 0)
        result = filter_allow(filter, wanted->more);
    for (const int *call = refused_calls; *wanted->more != -1 && *call != -1 && result == 0; call++)
        if (!listed(wanted->more, *call))
            result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), *call, 0);
    if (wanted->accepts && result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(accept4), 0);
    for (size_t i = 0; i < 2 && wanted->accepts && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2,
                                  SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET),
                                  SCMP_A2(SCMP_CMP_EQ, peer_options[i]));
    if (wanted->hand_over >= 0 && result == 0)
        result = allow_hand_over(filter, wanted->hand_over);
    return result;
}

bool sandbox_close(const struct sandbox_needs *needs, const struct arena *arena,
                   const struct packed *packed, struct report *report)
{
    tzset(); /* because gmtime_r(), which the log uses, reads the time zone file at its first use */
    seal_range("sealed arena", arena->memory, arena->size, report);
    packed_seal(packed, report);
    return filter_load(fill, needs, report);
}

#endif

/* Called after the change of the uid, which resets PR_SET_PDEATHSIG. The parent may have died
 * before. */
static bool follow(pid_t supervisor)
{
    if (supervisor == 0)
        return true;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0)
        return failed("PR_SET_PDEATHSIG");
    if (getppid() == supervisor)
        return true;
    log_error("the process that started immured has ended");
    return false;
}

/* Landlock and namespaces apply to the calling thread and to those that it starts later. The filter
 * of system calls and the change of the user apply to all threads. */
static void note_threads(struct report *report)
{
    size_t count = threads_count(), others = count > 0 ? count - 1 : 0;
    report_note(report, "threads", others == 0,
                others == 0 ? "none but the first before Landlock and namespaces"
                            : "%zu of modules are outside of Landlock and namespaces; they have "
                              "the list of system calls and the user",
                others);
}

bool sandbox_isolate(unsigned threads, const int *more, struct report *report)
{
    note_threads(report);
    if (!allocator_settle(threads))
        return failed("threads");
    seal_code(report);
    give_up_files(more, report);
    return true;
}

/* When it was not started by root, the process may have this identity already. */
static bool become(const struct identity *identity)
{
    char reason[256];
    if (geteuid() != 0 && identity->uid == getuid() && identity->gid == getgid())
        return true;
    if (privilege_become(identity, reason, sizeof reason))
        return true;
    log_error("%s", reason);
    return false;
}

bool sandbox_become(const struct identity *identity, pid_t supervisor, struct report *report)
{
    if (!become(identity))
        return false;
    report_note(report, "user", getuid() != 0, "uid %u, gid %u", (unsigned)getuid(),
                (unsigned)getgid());
    return hide_memory(report) && follow(supervisor);
}
