#include "walls/secret_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* The descriptor is closed after mapping, because it would be another way to reach the pages. */
static void *map_secret(size_t size, char *reason, size_t reason_size)
{
    int descriptor = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    void *pages = MAP_FAILED;
    if (descriptor >= 0 && ftruncate(descriptor, (off_t)size) == 0)
        pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (pages == MAP_FAILED && errno == EAGAIN)
        snprintf(reason, reason_size, "memfd_secret: %s (raise RLIMIT_MEMLOCK to %zu KiB)",
                 strerror(errno), size / 1024);
    else if (pages == MAP_FAILED)
        snprintf(reason, reason_size, "memfd_secret: %s", strerror(errno));
    if (descriptor >= 0)
        close(descriptor);
    if (pages == MAP_FAILED || madvise(pages, size, MADV_DONTFORK) == 0)
        return pages;
    snprintf(reason, reason_size, "memfd_secret: madvise: %s", strerror(errno));
    munmap(pages, size);
    return MAP_FAILED;
}

static void *map_ordinary(size_t size, enum secret_pages *kind)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return pages;
    *kind = mlock2(pages, size, MLOCK_ONFAULT) == 0 ? PAGES_LOCKED : PAGES_UNLOCKED;
    if (madvise(pages, size, MADV_DONTDUMP) == 0 && madvise(pages, size, MADV_WIPEONFORK) == 0)
        return pages;
    munmap(pages, size);
    return MAP_FAILED;
}

void *secret_pages_map(size_t size, enum secret_pages *kind, char *reason, size_t reason_size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = (size + page - 1) / page * page;
    *kind = PAGES_SECRET;
    void *pages = map_secret(size, reason, reason_size);
    if (pages == MAP_FAILED)
        pages = map_ordinary(size, kind);
    return pages != MAP_FAILED ? pages : NULL;
}
