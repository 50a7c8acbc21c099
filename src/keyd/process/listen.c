#include "keyd/process/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/activation.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "daemon/unix_socket.h"

#define BACKLOG 1024
#define LEAVE_TIME NS_PER_S /* for an immured that still serves the socket */

int listen_unix(const char *path, mode_t mode)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener >= 0 && unix_socket_clear(path, LEAVE_TIME) &&
        unix_socket_bind(listener, path, mode) && listen(listener, BACKLOG) == 0)
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
