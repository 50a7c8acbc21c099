#include "proxy/store/folder_watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "walls/landlock.h"

/* Programs that renew certificates write several files. */
#define QUIET_MS 200
#define PATIENCE (2 * NS_PER_S) /* if it does not become quiet */

/* A file that is being written is no change until it is closed. */
#define CHANGES                                                                                    \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |       \
     IN_MOVE_SELF | IN_ONLYDIR)

struct folder_watch {
    const struct proxy_config *config;
    int inotify, socket;
    bool changed;
    uint64_t since; /* of the first change */
};

/* Watching what is watched already does nothing. */
static bool watch(const struct folder_watch *watch, const char *path)
{
    if (inotify_add_watch(watch->inotify, path, CHANGES) >= 0)
        return true;
    if (errno != ENOTDIR && errno != ENOENT)
        log_warning("certificates-watch: %s: %s", path, strerror(errno));
    return false;
}

static bool may_be_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN);
}

static void watch_folder(const struct folder_watch *of, const char *path)
{
    DIR *folder = watch(of, path) ? opendir(path) : NULL;
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char within[PATH_MAX];
        int length = snprintf(within, sizeof within, "%s/%s", path, entry->d_name);
        if (may_be_folder(entry) && length > 0 && (size_t)length < sizeof within)
            watch(of, within);
    }
    if (folder != NULL)
        closedir(folder);
}

static void watch_all(const struct folder_watch *watch)
{
    const struct proxy_config *config = watch->config;
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].route_count; j++)
            if (config->frontends[i].routes[j].directory != NULL)
                watch_folder(watch, config->frontends[i].routes[j].directory);
}

/* What exactly has changed does not matter: the loader finds out. */
static void note_changes(struct folder_watch *watch)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    while (read(watch->inotify, events, sizeof events) > 0)
        continue;
    if (!watch->changed)
        watch->since = clock_now();
    watch->changed = true;
}

/* New folders are watched before anybody looks into them. */
static bool tell(struct folder_watch *watch)
{
    const char change = 1;
    watch_all(watch);
    watch->changed = false;
    return send(watch->socket, &change, sizeof change, MSG_NOSIGNAL) > 0;
}

/* False: the master has gone, or poll() fails. */
static bool go_on(struct folder_watch *watch)
{
    struct pollfd ready[] = {{.fd = watch->inotify, .events = POLLIN},
                             {.fd = watch->socket, .events = POLLIN}};
    int count = poll(ready, 2, watch->changed ? QUIET_MS : -1);
    if (count < 0 || ready[1].revents != 0)
        return count < 0 && errno == EINTR;
    if (ready[0].revents != 0)
        note_changes(watch);
    bool late = watch->changed && clock_now() - watch->since > PATIENCE;
    return (count > 0 && !late) || tell(watch);
}

int folder_watch_run(const struct proxy_config *config, int socket)
{
    const struct landlock_exceptions exceptions = {.files = true};
    struct report walls = {0};
    struct folder_watch watch = {
        .config = config, .inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .socket = socket};
    if (watch.inotify < 0) {
        log_error("certificates-watch: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    landlock_apply(&exceptions, &walls);
    watch_all(&watch);
    while (go_on(&watch))
        continue;
    close(watch.inotify);
    return EXIT_SUCCESS;
}
