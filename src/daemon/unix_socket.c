#include "daemon/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"

#define PAUSE_MS 20 /* between two checks whether a socket is still served */

bool unix_socket_address(const char *path, struct sockaddr_un *address)
{
    size_t length = strlen(path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address->sun_path, path, length);
    return true;
}

/* Whether a process listens on the socket. If that cannot be found out, it is taken to be so. */
static bool is_served(const struct sockaddr_un *address)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool served = probe < 0 ||
                  connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ||
                  errno != ECONNREFUSED;
    descriptor_close(&probe);
    return served;
}

bool unix_socket_clear(const char *path, uint64_t patience)
{
    const uint64_t deadline = clock_now() + patience;
    struct sockaddr_un address;
    struct file_identity file;
    if (!unix_socket_address(path, &address))
        return false;
    if (!unix_socket_identify(path, &file))
        return errno == ENOENT;
    while (is_served(&address)) {
        if (clock_now() >= deadline) {
            errno = EADDRINUSE;
            return false;
        }
        poll(NULL, 0, PAUSE_MS);
    }
    return unlink(path) == 0 || errno == ENOENT;
}

bool unix_socket_bind(int socket, const char *path, mode_t mode)
{
    struct sockaddr_un address;
    if (!unix_socket_address(path, &address))
        return false;
    mode_t before = umask(0777 & ~mode);
    bool bound = bind(socket, (const struct sockaddr *)&address, sizeof address) == 0;
    umask(before);
    return bound;
}

bool unix_socket_identify(const char *path, struct file_identity *file)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return false;
    if (!S_ISSOCK(status.st_mode)) {
        errno = ENOTSOCK;
        return false;
    }
    *file = file_identity_of(&status);
    return true;
}

/* The type is compared, too, because a file system may give the number of a removed file to any
 * other file. */
static bool is_same(const struct file_identity *file, const struct stat *status)
{
    return S_ISSOCK(status->st_mode) && file_identity_is(file, status);
}

bool unix_socket_is_there(const char *path, const struct file_identity *file)
{
    struct stat status;
    bool there = lstat(path, &status) == 0 && is_same(file, &status);
    if (!there)
        errno = ENOENT;
    return there;
}

/* Opens the file itself, because its path could lead to another file by the time of the change. -1
 * with errno. */
static int open_file(const char *path, const struct file_identity *file)
{
    struct stat status;
    int opened = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0 || (fstat(opened, &status) == 0 && is_same(file, &status)))
        return opened;
    close(opened);
    errno = ENOENT;
    return -1;
}

/* The process becomes a member of the group for a moment. So CAP_SETGID is enough for the change,
 * which would otherwise need CAP_CHOWN, and the units of our services do not grant that. */
static bool change_group(int file, gid_t group)
{
    gid_t before = getegid();
    bool taken = setegid(group) == 0;
    bool changed = fchownat(file, "", (uid_t)-1, group, AT_EMPTY_PATH) == 0;
    int reason = errno;
    if (taken && setegid(before) != 0)
        return false;
    errno = reason;
    return changed;
}

/* The file of a socket can only be opened with O_PATH, and fchmod(2) refuses such a descriptor. */
static bool change_mode(int file, mode_t mode)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return chmod(path, mode) == 0;
}

/* The owner is changed last, because afterwards the file may belong to another user, and this
 * process could not change it any more. */
static bool change_access(int file, const struct unix_socket_access *access)
{
    return (access->group == (gid_t)-1 || change_group(file, access->group)) &&
           change_mode(file, access->mode) &&
           (access->user == (uid_t)-1 ||
            fchownat(file, "", access->user, (gid_t)-1, AT_EMPTY_PATH) == 0);
}

bool unix_socket_set_access(const char *path, const struct file_identity *file,
                            const struct unix_socket_access *access)
{
    int opened = open_file(path, file);
    bool good = opened >= 0 && change_access(opened, access);
    int reason = errno;
    descriptor_close(&opened);
    errno = reason;
    return good;
}

bool unix_socket_remove(const char *path, const struct file_identity *file)
{
    return unix_socket_is_there(path, file) && unlink(path) == 0;
}
