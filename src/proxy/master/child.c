#include "proxy/master/child.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"

#define PAUSE_LEAST (10 * NS_PER_MS)
#define PAUSE_MOST NS_PER_S
#define LIVED_LONG (500 * NS_PER_MS)

void child_started(struct child *child, pid_t pid, uint64_t now)
{
    child->pid = pid;
    child->started = now;
    child->restart_at = UINT64_MAX;
}

char *child_describe(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
    return text;
}

void child_restart_later(struct child *child, int status, uint64_t now)
{
    char how[64];
    bool long_lived = child->started != 0 && now - child->started >= LIVED_LONG;
    child->pause = child->pause == 0 || long_lived ? PAUSE_LEAST : 2 * child->pause;
    if (child->pause > PAUSE_MOST)
        child->pause = PAUSE_MOST;
    child->restart_at = now + child->pause;
    log_warning("%s (pid %d) %s; it is started again in %" PRIu64 " ms", child->name,
                (int)child->pid, child_describe(status, how, sizeof how), child->pause / NS_PER_MS);
    child->pid = 0;
}

void child_ended(struct child *child)
{
    child->pid = 0;
    child->restart_at = UINT64_MAX;
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid > 0)
        kill(child->pid, signal);
}
