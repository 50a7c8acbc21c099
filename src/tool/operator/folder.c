#include "operator/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/ending.h"
#include "base/regular_file.h"

#define NEW ".immure-new"
#define OLD ".immure-old"
#define CHAIN ".crt"
#define KEY ".key"
#define BOTH ".pem"
#define STAPLE ".ocsp"
#define KEY_MODE 0600
#define CHAIN_MODE 0644

/* ---- names ---- */

/* Returns `path`, which has room for NAME_MAX + 1 bytes. */
static const char *visible(const struct folder_pair *pair, const char *end, char *path)
{
    snprintf(path, NAME_MAX + 1, "%s%s", pair->name, end);
    return path;
}

static const char *hidden(const struct folder_pair *pair, const char *end, const char *state,
                          char *path)
{
    snprintf(path, NAME_MAX + 1, ".%s%s%s", pair->name, end, state);
    return path;
}

static const char *chain_end(const struct folder_pair *pair)
{
    return pair->one_file ? BOTH : CHAIN;
}

static bool refuse(struct folder *folder, const char *name, const char *reason)
{
    snprintf(folder->problem, sizeof folder->problem, "%s/%s: %s", folder->path, name, reason);
    return false;
}

static bool is_there(const struct folder *folder, const char *name)
{
    struct stat status;
    return fstatat(folder->descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* No program that changes pairs has folders of these names: they stay where they are. */
static bool is_folder(const struct folder *folder, const char *name)
{
    struct stat status;
    return fstatat(folder->descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
}

/* ---- changes ---- */

/* Signals wait while several files change, so that Ctrl-C does not come between them. */
static void hold_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, before);
}

static void release_signals(const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
}

static bool move(struct folder *folder, const char *from, const char *to)
{
    return renameat(folder->descriptor, from, folder->descriptor, to) == 0 ||
           refuse(folder, from, strerror(errno));
}

static bool move_if_there(struct folder *folder, const char *from, const char *to)
{
    return !is_there(folder, from) || move(folder, from, to);
}

static bool drop(struct folder *folder, const char *name)
{
    return unlinkat(folder->descriptor, name, 0) == 0 || errno == ENOENT ||
           refuse(folder, name, strerror(errno));
}

static bool sync_folder(struct folder *folder)
{
    return fsync(folder->descriptor) == 0 || refuse(folder, ".", strerror(errno));
}

/* ---- what a program that was killed has left ---- */

/* Takes ".NAME.crt.immure-new" apart, into NAME and the rest. */
static bool parse_hidden(const char *file, struct folder_pair *pair, const char **end,
                         const char **state)
{
    static const char *const ends[] = {CHAIN, KEY, BOTH, STAPLE}, *const states[] = {NEW, OLD};
    for (size_t i = 0; file[0] == '.' && i < 8; i++) {
        char both[32];
        *end = ends[i / 2];
        *state = states[i % 2];
        snprintf(both, sizeof both, "%s%s", *end, *state);
        size_t length = strlen(file) - 1;
        if (!ends_with(file, both) || length - strlen(both) > FOLDER_NAME_MAX)
            continue;
        snprintf(pair->name, sizeof pair->name, "%.*s", (int)(length - strlen(both)), file + 1);
        return true;
    }
    return false;
}

static bool recover(struct folder *folder, const char *file)
{
    char other[NAME_MAX + 1], place[NAME_MAX + 1];
    const char *end, *state;
    struct folder_pair pair = {.one_file = false};
    if (!parse_hidden(file, &pair, &end, &state) || is_folder(folder, file))
        return true;
    bool alone = strcmp(end, CHAIN) == 0 && !is_there(folder, hidden(&pair, KEY, state, other)) &&
                 is_there(folder, visible(&pair, KEY, place));
    return alone ? move(folder, file, visible(&pair, CHAIN, place)) : drop(folder, file);
}

/* The chains first: as long as the key is hidden, too, both are to be removed. */
static bool recover_all(struct folder *folder)
{
    bool good = true;
    for (int keys = 0; keys < 2; keys++) {
        int copy = openat(folder->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
        const struct dirent *entry;
        if (stream == NULL)
            return refuse(folder, ".", strerror(errno));
        while ((entry = readdir(stream)) != NULL) {
            bool is_key = strstr(entry->d_name, KEY ".immure-") != NULL;
            good = (is_key != (keys == 1) || recover(folder, entry->d_name)) && good;
        }
        closedir(stream);
    }
    return good;
}

bool folder_open(struct folder *folder, const char *path)
{
    sigset_t before;
    *folder =
        (struct folder){.path = path, .descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (folder->descriptor < 0) {
        snprintf(folder->problem, sizeof folder->problem, "%s: %s", path, strerror(errno));
        return false;
    }
    bool good = flock(folder->descriptor, LOCK_EX | LOCK_NB) == 0;
    if (!good)
        snprintf(folder->problem, sizeof folder->problem, "%s: %s", path,
                 errno == EWOULDBLOCK ? "another immure is changing it" : strerror(errno));
    hold_signals(&before);
    good = good && recover_all(folder);
    release_signals(&before);
    if (!good)
        folder_close(folder);
    return good;
}

void folder_close(struct folder *folder)
{
    descriptor_close(&folder->descriptor);
}

/* ---- what is there ---- */

bool folder_has(const struct folder *folder, const char *name)
{
    static const char *const ends[] = {CHAIN, KEY, BOTH, ""};
    char path[NAME_MAX + 1];
    bool found = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", name, ends[i]);
        found |= is_there(folder, path);
    }
    return found;
}

static bool is_regular(struct folder *folder, const char *name)
{
    struct stat status;
    if (fstatat(folder->descriptor, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return refuse(folder, name, strerror(errno));
    if (S_ISLNK(status.st_mode))
        return refuse(folder, name, "it is a link, so another program manages it");
    return S_ISREG(status.st_mode) || refuse(folder, name, "it is not a regular file");
}

bool folder_has_pair(struct folder *folder, const struct folder_pair *pair, bool needed)
{
    char path[NAME_MAX + 1];
    if (!is_regular(folder, visible(pair, chain_end(pair), path)))
        return false;
    visible(pair, KEY, path);
    return pair->one_file || (!needed && !is_there(folder, path)) || is_regular(folder, path);
}

const char *folder_manager(const struct folder *folder, const struct folder_pair *pair)
{
    static const char *const signs[] = {".json", ".issuer.crt"};
    char path[NAME_MAX + 1];
    for (size_t i = 0; !pair->one_file && i < sizeof signs / sizeof *signs; i++)
        if (is_there(folder, visible(pair, signs[i], path)))
            return "lego";
    return NULL;
}

/* ---- files ---- */

struct access {
    mode_t mode;
    uid_t user;
    gid_t group;
};

/* A file of the folder with this end, whichever; false: there is none. */
static bool find_neighbour(const struct folder *folder, const char *end, struct stat *status)
{
    bool found = false;
    int copy = openat(folder->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    while (stream != NULL && !found && (entry = readdir(stream)) != NULL)
        found = entry->d_name[0] != '.' && ends_with(entry->d_name, end) &&
                fstatat(folder->descriptor, entry->d_name, status, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(status->st_mode);
    if (stream != NULL)
        closedir(stream);
    return found;
}

static struct access access_for(const struct folder *folder, const struct folder_pair *pair,
                                const char *end)
{
    char path[NAME_MAX + 1];
    struct stat status;
    bool secret = strcmp(end, CHAIN) != 0;
    bool before = fstatat(folder->descriptor, visible(pair, end, path), &status, 0) == 0;
    bool like = before || find_neighbour(folder, end, &status);
    struct access access = {.mode = like && (before || !secret) ? status.st_mode & 0777
                                    : secret                    ? KEY_MODE
                                                                : CHAIN_MODE,
                            .user = (uid_t)-1,
                            .group = (gid_t)-1};
    if (like || fstat(folder->descriptor, &status) == 0) {
        access.user = status.st_uid;
        access.group = status.st_gid;
    }
    return access;
}

static bool write_text(int file, const struct folder_content *content)
{
    for (size_t at = 0; at < content->length;) {
        ssize_t written = write(file, content->text + at, content->length - at);
        if (written < 0 && errno != EINTR)
            return false;
        at += written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* The kernel copies, so that no byte of a key comes into this process. */
static bool copy_file(int file, const char *path)
{
    int from = regular_file_open(path);
    ssize_t copied = 1;
    if (from < 0) {
        errno = -from;
        return false;
    }
    while (copied > 0 || (copied < 0 && errno == EINTR))
        copied = sendfile(file, from, NULL, (size_t)1 << 20);
    int reason = errno;
    close(from);
    errno = reason;
    return copied == 0;
}

/* Only root can give files to others; whoever else may change the folder owns what it makes. */
static bool set_access(int file, const struct access *access)
{
    return (fchown(file, access->user, access->group) == 0 || errno == EPERM) &&
           fchmod(file, access->mode) == 0;
}

static bool prepare(struct folder *folder, const struct folder_pair *pair, const char *end,
                    const struct folder_content *content)
{
    char path[NAME_MAX + 1];
    const struct access access = access_for(folder, pair, end);
    int file = openat(folder->descriptor, hidden(pair, end, NEW, path),
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, KEY_MODE);
    bool good = file >= 0 && (content->text == NULL || write_text(file, content)) &&
                (content->copied_from == NULL || copy_file(file, content->copied_from)) &&
                set_access(file, &access) && fsync(file) == 0;
    int reason = errno;
    descriptor_close(&file);
    return good || refuse(folder, path, strerror(reason));
}

/* The file before has a second name from now on; there may be none. */
static bool keep(struct folder *folder, const struct folder_pair *pair, const char *end)
{
    char from[NAME_MAX + 1], to[NAME_MAX + 1];
    visible(pair, end, from);
    return linkat(folder->descriptor, from, folder->descriptor, hidden(pair, end, OLD, to), 0) ==
               0 ||
           errno == ENOENT || refuse(folder, from, strerror(errno));
}

static bool place(struct folder *folder, const struct folder_pair *pair, const char *end,
                  const char *state)
{
    char from[NAME_MAX + 1], to[NAME_MAX + 1];
    return move_if_there(folder, hidden(pair, end, state, from), visible(pair, end, to));
}

/* The chain first, so that it is never alone. */
static bool drop_hidden(struct folder *folder, const struct folder_pair *pair, const char *state)
{
    static const char *const ends[] = {CHAIN, KEY, BOTH, STAPLE};
    char path[NAME_MAX + 1];
    bool good = true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        good = drop(folder, hidden(pair, ends[i], state, path)) && good;
    return good;
}

static bool restore(struct folder *folder, const struct folder_pair *pair)
{
    return (pair->one_file || place(folder, pair, KEY, OLD)) &&
           place(folder, pair, chain_end(pair), OLD) && place(folder, pair, STAPLE, OLD) &&
           sync_folder(folder);
}

static bool put_both(struct folder *folder, const struct folder_pair *pair)
{
    return pair->one_file ? keep(folder, pair, BOTH) && place(folder, pair, BOTH, NEW)
                          : keep(folder, pair, KEY) && keep(folder, pair, CHAIN) &&
                                place(folder, pair, KEY, NEW) && place(folder, pair, CHAIN, NEW);
}

/* Some step has failed: it is as before. If that fails, too, nothing hidden is lost, and the next
 * program ends what it is for. */
static void take_back(struct folder *folder, const struct folder_pair *pair, bool was_there)
{
    char problem[sizeof folder->problem], path[NAME_MAX + 1];
    memcpy(problem, folder->problem, sizeof problem);
    bool done = !was_there || restore(folder, pair);
    if (!was_there) {
        drop(folder, visible(pair, chain_end(pair), path));
        if (!pair->one_file)
            drop(folder, visible(pair, KEY, path));
    }
    if (done) {
        drop_hidden(folder, pair, NEW);
        drop_hidden(folder, pair, OLD);
    }
    memcpy(folder->problem, problem, sizeof problem);
}

bool folder_put(struct folder *folder, const struct folder_pair *pair,
                const struct folder_content *chain, const struct folder_content *key)
{
    char path[NAME_MAX + 1];
    sigset_t before;
    bool was_there = is_there(folder, visible(pair, chain_end(pair), path));
    hold_signals(&before);
    bool good = (pair->one_file || prepare(folder, pair, KEY, key)) &&
                prepare(folder, pair, chain_end(pair), chain) && put_both(folder, pair) &&
                sync_folder(folder);
    if (!good)
        take_back(folder, pair, was_there);
    release_signals(&before);
    return good;
}

static bool hide(struct folder *folder, const struct folder_pair *pair, const char *end)
{
    char from[NAME_MAX + 1], to[NAME_MAX + 1];
    return is_folder(folder, visible(pair, end, from)) ||
           move_if_there(folder, from, hidden(pair, end, OLD, to));
}

bool folder_hide(struct folder *folder, const struct folder_pair *pair)
{
    sigset_t before;
    hold_signals(&before);
    bool good = hide(folder, pair, chain_end(pair)) &&
                (pair->one_file || hide(folder, pair, KEY)) && hide(folder, pair, STAPLE) &&
                sync_folder(folder);
    if (!good)
        take_back(folder, pair, true);
    release_signals(&before);
    return good;
}

bool folder_restore(struct folder *folder, const struct folder_pair *pair)
{
    sigset_t before;
    hold_signals(&before);
    bool good = restore(folder, pair);
    release_signals(&before);
    return good;
}

bool folder_settle(struct folder *folder, const struct folder_pair *pair)
{
    sigset_t before;
    hold_signals(&before);
    bool good = drop_hidden(folder, pair, OLD) && sync_folder(folder);
    release_signals(&before);
    return good;
}
