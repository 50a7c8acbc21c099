#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static bool set_flag(int descriptor, int get, int set, int flag, bool on)
{
    int flags = fcntl(descriptor, get);
    return flags >= 0 && fcntl(descriptor, set, on ? flags | flag : flags & ~flag) == 0;
}

int descriptor_parse(const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    bool good =
        errno == 0 && end != text && *end == '\0' && number > STDERR_FILENO && number <= INT_MAX;
    return good ? (int)number : -1;
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

int descriptor_above_streams(int descriptor)
{
    if (descriptor < 0 || descriptor > STDERR_FILENO)
        return descriptor;
    int above = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int reason = errno;
    close(descriptor);
    errno = reason;
    return above;
}

static int compare_numbers(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
}

bool descriptor_close_others(int *keep, size_t count)
{
    int next = STDERR_FILENO + 1;
    qsort(keep, count, sizeof *keep, compare_numbers);
    for (size_t i = 0; i < count; i++) {
        if (keep[i] > next && close_range((unsigned)next, (unsigned)keep[i] - 1, 0) != 0)
            return false;
        if (keep[i] >= next)
            next = keep[i] + 1;
    }
    return close_range((unsigned)next, ~0U, 0) == 0;
}

void descriptor_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool write_all(int descriptor, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno != EINTR)
            return false;
        size_t done = written > 0 ? (size_t)written : 0;
        bytes += done;
        length -= done;
    }
    return true;
}

int descriptor_of_bytes(const char *name, const void *bytes, size_t length)
{
    const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0 ||
        (write_all(descriptor, bytes, length) && lseek(descriptor, 0, SEEK_SET) == 0 &&
         fcntl(descriptor, F_ADD_SEALS, seals) == 0))
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

/* Ancillary data for the most descriptors in one message, aligned as cmsg(3) asks. */
union ancillary {
    struct cmsghdr header;
    char room[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
};

ssize_t descriptors_send(int socket, const struct iovec *parts, size_t part_count,
                         const int *descriptors, size_t count)
{
    struct msghdr header = {.msg_iov = (struct iovec *)parts, .msg_iovlen = part_count};
    union ancillary ancillary;
    if (count > DESCRIPTORS_MAX) {
        errno = EINVAL;
        return -1;
    }
    if (count > 0) {
        memset(&ancillary, 0, sizeof ancillary);
        header.msg_control = &ancillary;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *control = CMSG_FIRSTHDR(&header);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(control), descriptors, count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* The descriptors that came with a message; returns how many. */
static size_t take_descriptors(struct msghdr *header, int *descriptors)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    if (control == NULL || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t size = control->cmsg_len - CMSG_LEN(0);
    memcpy(descriptors, CMSG_DATA(control), size);
    return size / sizeof(int);
}

ssize_t descriptors_receive(int socket, const struct iovec *parts, size_t part_count,
                            int descriptors[static DESCRIPTORS_MAX], size_t *count)
{
    union ancillary ancillary;
    struct msghdr header = {.msg_iov = (struct iovec *)parts,
                            .msg_iovlen = part_count,
                            .msg_control = &ancillary,
                            .msg_controllen = sizeof ancillary};
    *count = 0;
    ssize_t received;
    do
        received = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return received;
    *count = take_descriptors(&header, descriptors);
    if ((header.msg_flags & MSG_CTRUNC) == 0)
        return received;
    /* the kernel discards descriptors for which this process has no room, and does not say why */
    while (*count > 0)
        descriptor_close(&descriptors[--*count]);
    errno = EMFILE;
    return -1;
}

ssize_t descriptor_send(int socket, const void *message, size_t length, int descriptor)
{
    const struct iovec part = {.iov_base = (void *)message, .iov_len = length};
    return descriptors_send(socket, &part, 1, &descriptor, descriptor >= 0 ? 1 : 0);
}

ssize_t descriptor_receive(int socket, void *message, size_t size, int *descriptor)
{
    const struct iovec part = {.iov_base = message, .iov_len = size};
    int descriptors[DESCRIPTORS_MAX];
    size_t count;
    ssize_t received = descriptors_receive(socket, &part, 1, descriptors, &count);
    *descriptor = count > 0 ? descriptors[0] : -1;
    while (count > 1)
        descriptor_close(&descriptors[--count]);
    return received;
}
