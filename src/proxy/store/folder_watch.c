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
#include "base/descriptor.h"
#include "base/log.h"
#include "walls/landlock.h"

/* Programs that renew certificates write several files. */
#define QUIET_MS 200
#define PATIENCE (2 * NS_PER_S) /* if it does not become quiet */

/* A watch is on a folder, whatever its path leads to later: the path is a link that is changed, or
 * the folder is moved away and another one comes in its place. So paths are looked up again. */
#define LOOK_MS 1000

/* A file that is being written is no change until it is closed. */
#define CHANGES                                                                                    \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |       \
     IN_MOVE_SELF | IN_ONLYDIR)

struct place {
    const char *path;
    int number; /* of the watch; -1: there is none */
};

struct folder_watch {
    struct place *places; /* the folders of the configuration */
    size_t place_count;
    int inotify, socket;
    bool changed;
    uint64_t since; /* of the first change */
};

/* Watching what is watched already does nothing, and returns the same number. */
static int watch(const struct folder_watch *watch, const char *path)
{
    int number = inotify_add_watch(watch->inotify, path, CHANGES);
    if (number < 0 && errno != ENOTDIR && errno != ENOENT)
        log_warning("certificates-watch: %s: %s", path, strerror(errno));
    return number;
}

static bool may_be_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN);
}

static void watch_folder(const struct folder_watch *of, struct place *place)
{
    place->number = watch(of, place->path);
    DIR *folder = place->number >= 0 ? opendir(place->path) : NULL;
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char within[PATH_MAX];
        int length = snprintf(within, sizeof within, "%s/%s", place->path, entry->d_name);
        if (may_be_folder(entry) && length > 0 && (size_t)length < sizeof within)
            watch(of, within);
    }
    if (folder != NULL)
        closedir(folder);
}

static void watch_all(const struct folder_watch *watch)
{
    for (size_t i = 0; i < watch->place_count; i++)
        watch_folder(watch, &watch->places[i]);
}

static bool find_places(struct folder_watch *watch, const struct proxy_config *config)
{
    watch->places = calloc(config->route_count + 1, sizeof *watch->places);
    for (size_t i = 0; watch->places != NULL && i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].route_count; j++)
            if (config->frontends[i].routes[j].directory != NULL)
                watch->places[watch->place_count++] =
                    (struct place){config->frontends[i].routes[j].directory, -1};
    return watch->places != NULL;
}

/* Whether a path leads to another folder than before, or to none, or to one again. */
static bool leads_elsewhere(const struct folder_watch *watch)
{
    for (size_t i = 0; i < watch->place_count; i++)
        if (inotify_add_watch(watch->inotify, watch->places[i].path, CHANGES) !=
            watch->places[i].number)
            return true;
    return false;
}

static void begin_change(struct folder_watch *watch)
{
    if (!watch->changed)
        watch->since = clock_now();
    watch->changed = true;
}

/* What exactly has changed does not matter: the loader finds out. */
static void note_changes(struct folder_watch *watch)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    while (read(watch->inotify, events, sizeof events) > 0)
        continue;
    begin_change(watch);
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
    int count = poll(ready, 2, watch->changed ? QUIET_MS : LOOK_MS);
    if (count < 0 || ready[1].revents != 0)
        return count < 0 && errno == EINTR;
    if (ready[0].revents != 0)
        note_changes(watch);
    if (!watch->changed) {
        if (leads_elsewhere(watch))
            begin_change(watch);
        return true;
    }
    bool late = watch->changed && clock_now() - watch->since > PATIENCE;
    return (count > 0 && !late) || tell(watch);
}

int folder_watch_run(const struct proxy_config *config, int socket)
{
    const struct landlock_exceptions exceptions = {.files = true};
    struct report walls = {0};
    struct folder_watch watch = {.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
                                 .socket = socket};
    if (watch.inotify < 0 || !find_places(&watch, config)) {
        log_error("certificates-watch: %s", strerror(errno));
        descriptor_close(&watch.inotify);
        return EXIT_FAILURE;
    }
    landlock_apply(&exceptions, &walls);
    watch_all(&watch);
    while (go_on(&watch))
        continue;
    free(watch.places);
    close(watch.inotify);
    return EXIT_SUCCESS;
}
