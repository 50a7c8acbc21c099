#include "keyd/process/listen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/activation.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"

#define BACKLOG 1024
#define LEAVE_TIME NS_PER_S /* that an immured has to close a socket that it still serves */
#define LEAVE_PAUSE_MS 20

static bool is_served(const struct sockaddr_un *address)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool served = probe < 0 ||
                  connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ||
                  errno != ECONNREFUSED;
    descriptor_close(&probe);
    return served;
}

static bool remove_stale(const struct sockaddr_un *address)
{
    struct stat file;
    const uint64_t deadline = clock_now() + LEAVE_TIME;
    if (lstat(address->sun_path, &file) != 0)
        return errno == ENOENT;
    if (!S_ISSOCK(file.st_mode)) {
        errno = ENOTSOCK;
        return false;
    }
    while (is_served(address)) {
        if (clock_now() >= deadline) {
            errno = EADDRINUSE;
            return false;
        }
        poll(NULL, 0, LEAVE_PAUSE_MS);
    }
    return unlink(address->sun_path) == 0 || errno == ENOENT;
}

/* The file has its mode from the moment that it is there. */
static bool bind_with_mode(int socket, const struct sockaddr_un *address, mode_t mode)
{
    mode_t before = umask(0777 & ~mode);
    bool bound = bind(socket, (const struct sockaddr *)address, sizeof *address) == 0;
    umask(before);
    return bound;
}

int listen_unix(const char *path, mode_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        log_error("listen: %s: longer than %zu bytes", path, sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, length);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener >= 0 && remove_stale(&address) && bind_with_mode(listener, &address, mode) &&
        listen(listener, BACKLOG) == 0)
        return listener;
    log_error("listen: %s: %s", path, strerror(errno));
    descriptor_close(&listener);
    return -1;
}

static bool is_unix(int socket)
{
    int domain;
    socklen_t size = sizeof domain;
    return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

bool listen_activated(int *socket)
{
    char reason[128];
    struct activation activation = {0};
    bool good = activation_take(&activation, reason, sizeof reason);
    *socket = -1;
    if (!good) {
        log_error("%s; one listening unix stream socket is expected", reason);
    } else if (activation.count == 1 && is_unix(activation.sockets[0].socket)) {
        *socket = activation.sockets[0].socket;
        activation.sockets[0].socket = -1;
    } else if (activation.count > 0) {
        log_error("LISTEN_FDS: one listening unix stream socket is expected");
        good = false;
    }
    activation_close(&activation);
    return good;
}
