#include "keyd/keys/secret.h"

#include <string.h>

#include "keyd/keys/arena.h"

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
