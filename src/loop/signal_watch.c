#include "loop/signal_watch.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct signal_watch *signals = list_entry(watch, struct signal_watch, watch);
    struct signalfd_siginfo info;
    while (watch->descriptor >= 0 &&
           read(watch->descriptor, &info, sizeof info) == (ssize_t)sizeof info)
        signals->caught(signals, (int)info.ssi_signo);
}

void signal_watch_init(struct signal_watch *signals,
                       void (*caught)(struct signal_watch *signals, int number))
{
    watch_init(&signals->watch, ready);
    signals->caught = caught;
}

bool signal_watch_open(struct loop *loop, struct signal_watch *signals, const sigset_t *set)
{
    pthread_sigmask(SIG_BLOCK, set, NULL);
    int descriptor = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor < 0)
        return false;
    watch_open(&signals->watch, descriptor, WATCH_LEVEL);
    return watch_want(loop, &signals->watch, EPOLLIN);
}

void signal_watch_close(struct loop *loop, struct signal_watch *signals)
{
    watch_close(loop, &signals->watch);
}
