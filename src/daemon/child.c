#include "daemon/child.h"

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

void back_off_restart(struct back_off *back_off, uint64_t lived, uint64_t now)
{
    bool afresh = back_off->pause == 0 || lived >= LIVED_LONG;
    back_off->pause = afresh ? PAUSE_LEAST : 2 * back_off->pause;
    if (back_off->pause > PAUSE_MOST)
        back_off->pause = PAUSE_MOST;
    back_off->restart_at = now + back_off->pause;
}

void child_started(struct child *child, pid_t pid, uint64_t now)
{
    child->pid = pid;
    child->started = now;
    child->back_off.restart_at = UINT64_MAX;
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
    back_off_restart(&child->back_off, child->started != 0 ? now - child->started : 0, now);
    log_warning("%s (pid %d) %s; it is started again in %" PRIu64 " ms", child->name,
                (int)child->pid, child_describe(status, how, sizeof how),
                child->back_off.pause / NS_PER_MS);
    child->pid = 0;
}

void child_ended(struct child *child)
{
    child->pid = 0;
    child->back_off.restart_at = UINT64_MAX;
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid > 0)
        kill(child->pid, signal);
}
