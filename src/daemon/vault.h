/*
 * A vault: the files of a configuration as they were when a key process read them, sealed by that
 * process, and kept by its supervisor for the next one.
 *
 * The supervisor holds two halves of it and opens neither: a descriptor of what is encrypted, which
 * it never maps and never reads, and the key to it, 32 random bytes in a page of secret memory.
 * Both are good for nothing but to be handed to a key process (hand_over.h). keyd/keys/files.h says
 * what is in it.
 */
#ifndef DAEMON_VAULT_H
#define DAEMON_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walls/secret_pages.h"

#define VAULT_KEY_SIZE 32

struct vault {
    int descriptor; /* -1: it is empty */
    uint8_t *key;   /* VAULT_KEY_SIZE bytes in a page of their own; NULL: there is no room yet */
    enum secret_pages page; /* of which kind that is */
};

#define VAULT_INIT ((struct vault){.descriptor = -1})

/* Makes room for a key in an empty one. False with errno; `reason`: why the page is not secret. */
bool vault_make_room(struct vault *vault, char *reason, size_t size);
static inline bool vault_filled(const struct vault *vault)
{
    return vault->descriptor >= 0;
}
/* Wipes the key, without which what is sealed is lost. Harmless on VAULT_INIT. */
void vault_drop(struct vault *vault);

#endif
