#include "base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"

/* An errno, or 0 if it is a regular file. */
static int refusal(int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    return S_ISREG(status.st_mode) ? 0 : ESPIPE;
}

int regular_file_open(const char *name)
{
    /* without O_NONBLOCK, opening a FIFO without a writer would block the supervisor */
    int descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int reason = descriptor < 0 ? errno : refusal(descriptor);
    if (reason == 0)
        return descriptor;
    descriptor_close(&descriptor);
    return -reason;
}

static ssize_t read_whole(int file, char *bytes, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(file, bytes + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

char *regular_file_read(const char *name, size_t most, size_t *length)
{
    struct stat status;
    int file = regular_file_open(name);
    if (file < 0) {
        errno = -file;
        return NULL;
    }
    char *bytes = NULL;
    int reason = 0;
    if (fstat(file, &status) != 0)
        reason = errno;
    else if ((uint64_t)status.st_size > most)
        reason = EFBIG;
    else if ((bytes = malloc((size_t)status.st_size + 1)) == NULL)
        reason = ENOMEM;
    ssize_t got = bytes != NULL ? read_whole(file, bytes, (size_t)status.st_size) : -1;
    if (bytes != NULL && got < 0)
        reason = errno;
    close(file);
    if (got < 0) {
        free(bytes);
        errno = reason;
        return NULL;
    }
    bytes[got] = '\0';
    *length = (size_t)got;
    return bytes;
}

const char *regular_file_reason(int error)
{
    return error == ESPIPE ? "it is not a regular file" : strerror(error);
}
