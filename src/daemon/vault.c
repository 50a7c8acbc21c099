#include "daemon/vault.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/descriptor.h"

bool vault_make_room(struct vault *vault, char *reason, size_t size)
{
    vault->key = secret_pages_map(VAULT_KEY_SIZE, &vault->page, reason, size);
    return vault->key != NULL;
}

void vault_drop(struct vault *vault)
{
    descriptor_close(&vault->descriptor);
    if (vault->key != NULL) {
        explicit_bzero(vault->key, VAULT_KEY_SIZE);
        munmap(vault->key, VAULT_KEY_SIZE);
    }
    *vault = VAULT_INIT;
}
