#include "keyd/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

bool secret_new(struct secret *secret, size_t size)
{
    size = whole_pages(size);
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return false;
    if (mlock(pages, size) != 0)
        log_warning("KEY MEMORY IS NOT LOCKED and may be written to swap: mlock: %s "
                    "(raise RLIMIT_MEMLOCK)",
                    strerror(errno));
    if (madvise(pages, size, MADV_DONTDUMP) != 0 || madvise(pages, size, MADV_WIPEONFORK) != 0)
        log_warning("KEY MEMORY MAY REACH CORE FILES OR CHILDREN: madvise: %s", strerror(errno));
    *secret = (struct secret){.bytes = pages, .size = size};
    return true;
}

void secret_free(struct secret *secret)
{
    if (secret->bytes != NULL) {
        OPENSSL_cleanse(secret->bytes, secret->size);
        munmap(secret->bytes, secret->size);
    }
    *secret = SECRET_INIT;
}

/* One byte more than allowed is asked for, so that a longer file shows. */
static bool read_all(int descriptor, struct secret *secret, size_t longest)
{
    while (secret->length <= longest) {
        ssize_t got =
            read(descriptor, secret->bytes + secret->length, longest + 1 - secret->length);
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

bool secret_read(struct secret *secret, const char *file, size_t longest)
{
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return false;
    bool good = secret_new(secret, longest + 1) && read_all(descriptor, secret, longest);
    int reason = errno;
    descriptor_close(&descriptor);
    if (!good)
        secret_free(secret);
    errno = reason;
    return good;
}

bool secret_read_line(struct secret *secret, const char *file, size_t longest)
{
    if (!secret_read(secret, file, longest))
        return false;
    size_t length = 0;
    while (length < secret->length && secret->bytes[length] != '\n' &&
           secret->bytes[length] != '\r')
        length++;
    secret->length = length;
    return true;
}
