#include "daemon/child.h"

#include <errno.h>
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

void back_off_init(struct back_off *back_off, struct loop *loop,
                   void (*restart)(struct timer *timer))
{
    *back_off = (struct back_off){.loop = loop};
    timer_init(&back_off->restart, restart);
}

void back_off_restart(struct back_off *back_off, uint64_t lived, uint64_t now)
{
    bool afresh = back_off->pause == 0 || lived >= LIVED_LONG;
    back_off->pause = afresh ? PAUSE_LEAST : 2 * back_off->pause;
    if (back_off->pause > PAUSE_MOST)
        back_off->pause = PAUSE_MOST;
    timer_start_at(back_off->loop, &back_off->restart, now + back_off->pause);
}

void back_off_stop(struct back_off *back_off)
{
    timer_stop(back_off->loop, &back_off->restart);
}

static void restart(struct timer *timer)
{
    struct child *child = list_entry(timer, struct child, back_off.restart);
    if (child->start(child)) {
        log_info("%s (pid %d) is started", child->name, (int)child->pid);
        return;
    }
    log_error("cannot start %s: %s", child->name, strerror(errno));
    timer_start_at(child->back_off.loop, timer, clock_now() + PAUSE_MOST);
}

void child_init(struct child *child, const char *name, struct loop *loop,
                bool (*start)(struct child *child))
{
    *child = (struct child){.name = name, .start = start};
    back_off_init(&child->back_off, loop, restart);
}

void child_started(struct child *child, pid_t pid, uint64_t now)
{
    child->pid = pid;
    child->started = now;
    back_off_stop(&child->back_off);
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
    back_off_stop(&child->back_off);
}

void child_leave(struct child *child)
{
    back_off_stop(&child->back_off);
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid > 0)
        kill(child->pid, signal);
}
