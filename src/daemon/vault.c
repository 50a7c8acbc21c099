#include "daemon/vault.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/descriptor.h"

bool vault_make_room(struct vault *vault, char *reason, size_t size)
{
    vault->key = secret_pages_map(VAULT_KEY_SIZE, &vault->page, reason, size);
    return vault->key != NULL;
}

bool vault_add_change(struct vault *vault, const void *bytes, size_t length)
{
    uint8_t record[4 + VAULT_CHANGE_MAX];
    struct writer writer = writer_of(record, sizeof record);
    write_u32(&writer, (uint32_t)length);
    write_bytes(&writer, bytes, length);
    if (vault->changes < 0)
        vault->changes = memfd_create("changes", MFD_CLOEXEC);
    errno = writer.failed ? EMSGSIZE : errno;
    if (vault->changes < 0 || writer.failed)
        return false;
    ssize_t written = write(vault->changes, record, 4 + length);
    if (written == (ssize_t)(4 + length))
        return true;
    errno = written >= 0 ? ENOSPC : errno;
    return false;
}

void vault_drop(struct vault *vault)
{
    descriptor_close(&vault->descriptor);
    descriptor_close(&vault->changes);
    if (vault->key != NULL) {
        explicit_bzero(vault->key, VAULT_KEY_SIZE);
        munmap(vault->key, VAULT_KEY_SIZE);
    }
    *vault = VAULT_INIT;
}
