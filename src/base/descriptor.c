#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool set_flag(int descriptor, int get, int set, int flag, bool on)
{
    int flags = fcntl(descriptor, get);
    return flags >= 0 && fcntl(descriptor, set, on ? flags | flag : flags & ~flag) == 0;
}

bool descriptor_set_nonblocking(int descriptor, bool nonblocking)
{
    return set_flag(descriptor, F_GETFL, F_SETFL, O_NONBLOCK, nonblocking);
}

bool descriptor_set_close_on_exec(int descriptor, bool close_on_exec)
{
    return set_flag(descriptor, F_GETFD, F_SETFD, FD_CLOEXEC, close_on_exec);
}

void descriptor_close(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

/* Ancillary data for one descriptor, aligned as cmsg(3) asks. */
union ancillary {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

ssize_t descriptor_send(int socket, const void *message, size_t length, int descriptor)
{
    struct iovec part = {.iov_base = (void *)message, .iov_len = length};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union ancillary ancillary;
    if (descriptor >= 0) {
        memset(&ancillary, 0, sizeof ancillary);
        header.msg_control = &ancillary;
        header.msg_controllen = sizeof ancillary;
        struct cmsghdr *control = CMSG_FIRSTHDR(&header);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(control), &descriptor, sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t descriptor_receive(int socket, void *message, size_t size, int *descriptor)
{
    struct iovec part = {.iov_base = message, .iov_len = size};
    union ancillary ancillary;
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &ancillary,
                            .msg_controllen = sizeof ancillary};
    *descriptor = -1;
    ssize_t received;
    do
        received = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return received;
    struct cmsghdr *control = CMSG_FIRSTHDR(&header);
    if (control != NULL && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS &&
        control->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(descriptor, CMSG_DATA(control), sizeof(int));
    return received;
}
