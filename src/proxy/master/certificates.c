#include "proxy/master/certificates.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "proxy/master/processes.h"
#include "proxy/store/folder_watch.h"
#include "proxy/store/loader.h"

/* In the child. */
static int run(const struct generation *generation, const struct store *before,
               const struct refusals *refused, int socket)
{
    child_begin(generation->config, "immure-proxy: loader");
    metrics_history_hide(generation->setup->history);
    return descriptor_close_others(&socket, 1)
               ? loader_run(generation->config, before, refused, socket)
               : EXIT_FAILURE;
}

bool certificates_start(struct generation *generation, const struct store *before,
                        const struct refusals *refused)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    watch_open(&generation->certificates, pair[0], WATCH_LEVEL);
    bool watched = descriptor_set_nonblocking(pair[0], true) &&
                   watch_want(generation->setup->loop, &generation->certificates, EPOLLIN);
    if (before != NULL)
        store_inherit(before, true);
    pid_t pid = watched ? fork() : -1;
    if (pid == 0)
        exit(run(generation, before, refused, pair[1]));
    int reason = errno;
    if (before != NULL)
        store_inherit(before, false);
    close(pair[1]);
    if (pid > 0)
        child_started(&generation->loader, pid, clock_now());
    errno = reason;
    return pid > 0;
}

bool certificates_watch(struct generation *generation)
{
    int pair[2];
    if (!generation->config->certificates_watch || generation->setup->test)
        return true;
    watch_close_shared(generation->setup->loop, &generation->folders);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    watch_open(&generation->folders, pair[0], WATCH_LEVEL);
    bool watched = descriptor_set_nonblocking(pair[0], true) &&
                   watch_want(generation->setup->loop, &generation->folders, EPOLLIN);
    pid_t pid = watched ? fork() : -1;
    if (pid == 0) {
        child_begin(generation->config, "immure-proxy: watcher");
        metrics_history_hide(generation->setup->history);
        exit(descriptor_close_others(&pair[1], 1) ? folder_watch_run(generation->config, pair[1])
                                                  : EXIT_FAILURE);
    }
    int reason = errno;
    close(pair[1]);
    if (pid > 0)
        child_started(&generation->watcher, pid, clock_now());
    errno = reason;
    return pid > 0;
}

void certificates_stop(struct generation *generation)
{
    watch_close_shared(generation->setup->loop, &generation->certificates);
    watch_close_shared(generation->setup->loop, &generation->folders);
    back_off_stop(&generation->loader.back_off);
    back_off_stop(&generation->watcher.back_off);
    child_signal(&generation->loader, SIGKILL);
    child_signal(&generation->watcher, SIGKILL);
}

struct store *certificates_take(struct generation *generation, int *memory,
                                struct conf_error *error)
{
    struct loader_answer answer;
    ssize_t length =
        descriptor_receive(generation->certificates.descriptor, &answer, sizeof answer, memory);
    error->text[0] = '\0';
    if (length < 0 && errno == EAGAIN)
        return NULL;
    watch_close_shared(generation->setup->loop, &generation->certificates);
    if (length != (ssize_t)sizeof answer) {
        snprintf(error->text, sizeof error->text, "the process that reads the certificates ended");
        return NULL;
    }
    *error = answer.error;
    error->text[sizeof error->text - 1] = '\0';
    struct store *store = *memory >= 0 ? store_open(*memory, error) : NULL;
    if (store != NULL)
        store_inherit(store, false); /* a worker would keep it for as long as it lives */
    return store;
}
