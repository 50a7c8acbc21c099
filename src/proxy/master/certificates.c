#include "proxy/master/certificates.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/descriptor.h"
#include "proxy/master/processes.h"
#include "proxy/store/folder_watch.h"
#include "proxy/store/loader.h"

struct reading {
    const struct store *before;
    const struct refusals *refused;
    bool tries;
};

static int run_loader(const struct generation *generation, const void *arg, int socket)
{
    const struct reading *reading = arg;
    return loader_run(generation->config, reading->before, reading->refused, reading->tries,
                      socket);
}

bool certificates_start(struct generation *generation, const struct store *before,
                        const struct refusals *refused, bool tries)
{
    const struct reading reading = {before, refused, tries};
    if (before != NULL)
        store_inherit(before, true);
    bool started = helper_start(generation, &generation->loader, &generation->certificates,
                                run_loader, &reading);
    int reason = errno;
    if (before != NULL)
        store_inherit(before, false);
    errno = reason;
    return started;
}

static int run_watcher(const struct generation *generation, const void *arg, int socket)
{
    (void)arg;
    return folder_watch_run(generation->config, socket);
}

bool certificates_watch(struct generation *generation)
{
    return !generation->config->certificates_watch || generation->setup->test ||
           helper_start(generation, &generation->watcher, &generation->folders, run_watcher, NULL);
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
