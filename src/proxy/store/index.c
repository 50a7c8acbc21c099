#include "proxy/store/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/regular_file.h"
#include "proxy/store/layout.h"

#define SIZE_MOST ((size_t)8 << 30)

/* The header counts with an empty checksum. */
static uint64_t checksum_of(const struct store_header *header, size_t size)
{
    struct store_header own = *header;
    own.checksum = 0;
    return store_hash(store_hash(0, &own, sizeof own), header + 1, size - sizeof own);
}

static int fail(int error, const char *text, char *reason, size_t size)
{
    snprintf(reason, size, "%s", text);
    errno = error;
    return -1;
}

/* Whether only our own user can have written the file. */
static bool is_ours(const struct stat *status)
{
    return status->st_uid == geteuid() && (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* A sealed copy; the readers of a store do not look at its checksum. */
static int copy(const struct store_header *header, size_t size, char *reason, size_t reason_size)
{
    if (header->size != size || header->checksum != checksum_of(header, size))
        return fail(EPROTO, "it is damaged, or another version made it; it is not used", reason,
                    reason_size);
    int memory = descriptor_of_bytes("certificates", header, size);
    return memory >= 0 ? memory : fail(errno, strerror(errno), reason, reason_size);
}

int index_read(const char *path, char *reason, size_t size)
{
    struct stat status;
    int file = regular_file_open(path);
    if (file < 0)
        return fail(-file, regular_file_reason(-file), reason, size);
    int memory = -1;
    void *mapped = MAP_FAILED;
    bool known = fstat(file, &status) == 0;
    if (known && !is_ours(&status))
        fail(EPERM, "others than our own user can write it; it is not used", reason, size);
    else if (known && ((size_t)status.st_size < sizeof(struct store_header) ||
                       (size_t)status.st_size > SIZE_MOST))
        fail(EPROTO, "it is damaged, or another version made it; it is not used", reason, size);
    else if (!known || (mapped = mmap(NULL, (size_t)status.st_size, PROT_READ,
                                      MAP_PRIVATE | MAP_POPULATE, file, 0)) == MAP_FAILED)
        fail(errno, strerror(errno), reason, size);
    int error = errno;
    close(file);
    errno = error;
    if (mapped == MAP_FAILED)
        return -1;
    memory = copy(mapped, (size_t)status.st_size, reason, size);
    error = errno;
    munmap(mapped, (size_t)status.st_size);
    errno = error;
    return memory;
}

static bool write_all(int file, const void *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes = (const char *)bytes + written;
        length -= (size_t)written;
    }
    return true;
}

static bool write_store(int file, const struct store *store)
{
    size_t size;
    const struct store_header *mapping = store_mapping(store, &size);
    struct store_header header = *mapping;
    header.checksum = checksum_of(mapping, size);
    return write_all(file, &header, sizeof header) &&
           write_all(file, mapping + 1, size - sizeof header) && fsync(file) == 0;
}

bool index_write(const char *path, const struct store *store, char *reason, size_t size)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.new-XXXXXX", path) < 0)
        return fail(ENOMEM, "out of memory", reason, size) == 0;
    int file = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    bool good = file >= 0 && write_store(file, store) && rename(temporary, path) == 0;
    if (!good)
        snprintf(reason, size, "it cannot be written: %s", strerror(errno));
    if (file >= 0 && !good)
        unlink(temporary);
    descriptor_close(&file);
    free(temporary);
    return good;
}
