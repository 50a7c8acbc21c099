#include "keyd/secret.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "keyd/arena.h"

#define ALIGNMENT 64

bool secret_new(struct secret *secret, size_t size)
{
    void *block = arena_alloc(size + ALIGNMENT - 1);
    if (block == NULL)
        return false;
    uintptr_t aligned = ((uintptr_t)block + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *secret = (struct secret){.bytes = (uint8_t *)aligned, .size = size, .block = block};
    memset(secret->bytes, 0, size);
    return true;
}

void secret_free(struct secret *secret)
{
    arena_free(secret->block);
    *secret = SECRET_INIT;
}

/* One byte more than allowed is asked for, so that a longer file shows. The offset is that of all
 * who have the file open, so it is left alone. */
static bool read_all(int descriptor, struct secret *secret, size_t longest)
{
    while (secret->length <= longest) {
        ssize_t got = pread(descriptor, secret->bytes + secret->length,
                            longest + 1 - secret->length, (off_t)secret->length);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0)
            secret->length += (size_t)got;
    }
    errno = EFBIG;
    return false;
}

bool secret_read(struct secret *secret, const struct file_table *files, const char *file,
                 size_t longest)
{
    int descriptor = file_table_find(files, file);
    if (descriptor < 0)
        return false;
    bool good = secret_new(secret, longest + 1) && read_all(descriptor, secret, longest);
    int reason = errno;
    if (!good)
        secret_free(secret);
    errno = reason;
    return good;
}

bool secret_read_line(struct secret *secret, const struct file_table *files, const char *file,
                      size_t longest)
{
    if (!secret_read(secret, files, file, longest))
        return false;
    size_t length = 0;
    while (length < secret->length && secret->bytes[length] != '\n' &&
           secret->bytes[length] != '\r')
        length++;
    secret->length = length;
    return true;
}
