#include "keyd/sandbox.h"

#include <errno.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/privilege.h"

#define DEFAULT_USER "immured"
#define DEFAULT_UID "65533" /* if there is no such user */

static bool failed(const char *what)
{
    log_error("%s: %s", what, strerror(errno));
    return false;
}

static int lowest_kept(const int *keep, size_t count, int above)
{
    int lowest = -1;
    for (size_t i = 0; i < count; i++)
        if (keep[i] > above && (lowest < 0 || keep[i] < lowest))
            lowest = keep[i];
    return lowest;
}

static bool close_others(const int *keep, size_t count)
{
    int last = STDERR_FILENO;
    for (int next; (next = lowest_kept(keep, count, last)) >= 0; last = next)
        if (next > last + 1 && close_range((unsigned)last + 1, (unsigned)next - 1, 0) != 0)
            return false;
    return close_range((unsigned)last + 1, ~0u, 0) == 0;
}

bool sandbox_begin(const int *keep, size_t count)
{
    if (!close_others(keep, count))
        return failed("close_range");
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) != 0)
        return failed("RLIMIT_CORE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed("PR_SET_NO_NEW_PRIVS");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return failed("RLIMIT_NOFILE");
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return failed("RLIMIT_NOFILE");
    return true;
}

static bool become_user(const char *user)
{
    if (geteuid() != 0 && user == NULL)
        return true;
    if (user == NULL && getpwnam(DEFAULT_USER) != NULL)
        user = DEFAULT_USER;
    if (user == NULL) {
        user = DEFAULT_UID;
        log_info("there is no user \"%s\": becoming uid %s", DEFAULT_USER, user);
    }
    char reason[256];
    if (privilege_drop(user, reason, sizeof reason))
        return true;
    log_error("%s", reason);
    return false;
}

#ifdef IMMURE_SANITIZE

static bool hide_memory(void)
{
    return true;
}

bool sandbox_close(bool accepts, const int *more)
{
    (void)accepts, (void)more;
    log_warning("BUILT WITH SANITIZERS (%s): immured is dumpable and takes every system call",
                IMMURE_SANITIZE);
    return true;
}

#else

/* A change of the uid makes a process dumpable as the system says; so this comes after it. */
static bool hide_memory(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return failed("PR_SET_DUMPABLE");
    return true;
}

/* What the C library and libcrypto need between recv() and send(). */
static const int allowed_calls[] = {
    /* the event loop and the log */
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(recvfrom),
    SCMP_SYS(sendto), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close),
    /* threads and time */
    SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(exit), SCMP_SYS(exit_group),
    /* libcrypto's random generator: a fork shows by another pid */
    SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
    /* malloc() and free() */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise)};

/* What a library that a backend brings tries and can do without: the system's log, a file of
 * settings, a plug-in by another name. It is told so. */
static const int refused_calls[] = {SCMP_SYS(socket), SCMP_SYS(openat), SCMP_SYS(newfstatat)};
#define REFUSED (sizeof refused_calls / sizeof refused_calls[0])

static bool listed(const int *calls, int call)
{
    while (*calls != -1 && *calls != call)
        calls++;
    return *calls == call;
}

static int allow(scmp_filter_ctx filter, bool accepts, const int *more)
{
    int result = 0;
    for (size_t i = 0; i < sizeof allowed_calls / sizeof allowed_calls[0] && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_calls[i], 0);
    for (size_t i = 0; more != NULL && more[i] != -1 && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, more[i], 0);
    for (size_t i = 0; more != NULL && more[0] != -1 && i < REFUSED && result == 0; i++)
        if (!listed(more, refused_calls[i]))
            result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused_calls[i], 0);
    /* memory, but none to run code from */
    const int mapping_calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; i < 2 && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, mapping_calls[i], 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (accepts && result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(accept4), 0);
    const unsigned peer_options[] = {SO_PEERCRED, SO_PEERGROUPS};
    for (size_t i = 0; i < 2 && accepts && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2,
                                  SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET),
                                  SCMP_A2(SCMP_CMP_EQ, peer_options[i]));
    return result;
}

bool sandbox_close(bool accepts, const int *more)
{
    tzset(); /* gmtime_r() of the log reads the time zone file at its first use, whatever for */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int result = filter != NULL ? 0 : -ENOMEM;
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = allow(filter, accepts, more);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result != 0)
        log_error("seccomp: %s", strerror(-result));
    return result == 0;
}

#endif

/* The wish to die with the parent is forgotten at a change of the uid; and the parent may have died
 * before it was made. */
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

bool sandbox_drop_user(const char *user, pid_t supervisor)
{
    return become_user(user) && hide_memory() && follow(supervisor);
}
