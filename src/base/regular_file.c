#include "base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/descriptor.h"

/* 0: it is one. */
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
    /* without O_NONBLOCK a FIFO that nobody writes to would keep a supervisor waiting */
    int descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int reason = descriptor < 0 ? errno : refusal(descriptor);
    if (reason == 0)
        return descriptor;
    descriptor_close(&descriptor);
    return -reason;
}

const char *regular_file_reason(int error)
{
    return error == ESPIPE ? "it is not a regular file" : strerror(error);
}
