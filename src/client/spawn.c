#include "immure/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/file_table.h"
#include "base/launch.h"

#define OPTIONS_MAX 4 /* options with a descriptor */

static bool give_files(struct launch *launch, const struct immure_spawn_options *options)
{
    char *list = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&list, &length);
    if (out == NULL)
        return false;
    bool good = true;
    for (size_t i = 0; good && i < options->file_count; i++) {
        const struct immure_spawn_file *file = &options->files[i];
        int number = file->descriptor;
        good = number < 0 || launch_give_descriptor(launch, number, &number);
        file_table_put(out, file->name, number);
    }
    int reason = errno;
    if (fclose(out) != 0 && good) {
        good = false;
        reason = errno;
    }
    errno = reason;
    good = good && launch_give_bytes(launch, "--files-fd", "", list, length);
    reason = errno;
    free(list);
    errno = reason;
    return good;
}

static bool prepare(struct launch *launch, const struct immure_spawn_options *options, int session)
{
    return launch_give_bytes(launch, "--config", "/dev/fd/", options->config,
                             strlen(options->config)) &&
           (options->files == NULL || give_files(launch, options)) &&
           (options->listener < 0 || launch_give(launch, "--listen-fd", "", options->listener)) &&
           (session < 0 || launch_give(launch, "--session-fd", "", session));
}

static bool start(const struct immure_spawn_options *options, int session, pid_t *pid)
{
    struct launch launch;
    sigset_t none;
    sigemptyset(&none);
    if (!launch_begin(&launch, "immured", OPTIONS_MAX + options->file_count))
        return false;
    if (prepare(&launch, options, session))
        return launch_run(&launch, options->program, &none, pid);
    launch_drop(&launch);
    return false;
}

enum immure_error immure_spawn(const struct immure_spawn_options *options, pid_t *pid, int *fd)
{
    int ends[2] = {-1, -1};
    bool started = false;
    if (!options->socket_pair || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0)
        started = (ends[0] < 0 || descriptor_set_nonblocking(ends[0], true)) &&
                  start(options, ends[1], pid);
    int reason = errno;
    descriptor_close(&ends[1]);
    if (!started)
        descriptor_close(&ends[0]);
    errno = reason;
    if (started && fd != NULL)
        *fd = ends[0];
    return started ? IMMURE_OK : IMMURE_E_IO;
}
