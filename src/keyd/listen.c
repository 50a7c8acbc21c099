#include "keyd/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"

#define BACKLOG 1024

static bool remove_stale(const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(address->sun_path, &file) != 0)
        return errno == ENOENT;
    if (!S_ISSOCK(file.st_mode)) {
        errno = ENOTSOCK;
        return false;
    }
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return false;
    bool served = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ||
                  errno != ECONNREFUSED;
    descriptor_close(&probe);
    if (!served)
        return unlink(address->sun_path) == 0;
    errno = EADDRINUSE;
    return false;
}

/* The file has its mode from the moment that it is there. */
static bool bind_with_mode(int socket, const struct sockaddr_un *address, mode_t mode)
{
    mode_t before = umask(0777 & ~mode);
    bool bound = bind(socket, (const struct sockaddr *)address, sizeof *address) == 0;
    umask(before);
    return bound;
}

int listen_unix(const char *path, bool everybody)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        log_error("listen: %s: longer than %zu bytes", path, sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, length);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener >= 0 && remove_stale(&address) &&
        bind_with_mode(listener, &address, everybody ? 0666 : 0600) &&
        listen(listener, BACKLOG) == 0)
        return listener;
    log_error("listen: %s: %s", path, strerror(errno));
    descriptor_close(&listener);
    return -1;
}
