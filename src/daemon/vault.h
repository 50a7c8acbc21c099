/*
 * A vault: the files of a configuration, as they were when a key process read them. The key process
 * encrypts them, and its supervisor keeps them for the next key process.
 *
 * The supervisor keeps two parts: a descriptor of the ciphertext, which it never maps or reads, and
 * the encryption key, 32 random bytes in a page of secret memory. It uses neither, and only hands
 * them to a key process (hand_over.h). keyd/keys/files.h describes the content.
 */
#ifndef DAEMON_VAULT_H
#define DAEMON_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walls/secret_pages.h"

#define VAULT_KEY_SIZE 32

struct vault {
    int descriptor; /* of the ciphertext; -1: the vault is empty */
    uint8_t *key; /* VAULT_KEY_SIZE bytes in a page of their own; NULL: there is no such page yet */
    enum secret_pages page; /* the kind of memory of that page */
    int changes; /* a memory file of what has changed since, each change encrypted by the key
                    process and preceded by its length (4 bytes); -1: nothing has changed */
};

#define VAULT_INIT ((struct vault){.descriptor = -1, .changes = -1})
#define VAULT_CHANGE_MAX 16384 /* bytes of one change */

/* Gives an empty vault the page for its key. False with errno. If the page is not secret memory,
 * `reason` says why. */
bool vault_make_room(struct vault *vault, char *reason, size_t size);
static inline bool vault_filled(const struct vault *vault)
{
    return vault->descriptor >= 0;
}
/* Keeps one more change. False with errno. */
bool vault_add_change(struct vault *vault, const void *bytes, size_t length);
/* Wipes the key, without which nobody can decrypt the files. Harmless on VAULT_INIT. */
void vault_drop(struct vault *vault);

#endif
