/*
 * A vault: the files of a configuration as they were when a key process read them. That process
 * encrypts them, and its supervisor keeps them for the next one.
 *
 * The supervisor holds two parts, and uses neither: a descriptor of the ciphertext, which it never
 * maps or reads, and the encryption key, 32 random bytes in a page of secret memory. It only hands
 * them to a key process (hand_over.h). keyd/keys/files.h describes what is inside.
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
    enum secret_pages page; /* the kind of that page */
    int changes; /* a memory file: what has changed since, encrypted by the key process, each with
                    its length (4) before it; -1: nothing */
};

#define VAULT_INIT ((struct vault){.descriptor = -1, .changes = -1})
#define VAULT_CHANGE_MAX 16384 /* bytes of one change */

/* Makes room for a key in an empty vault. False with errno. `reason` says why the page is not
 * secret memory, if it is not. */
bool vault_make_room(struct vault *vault, char *reason, size_t size);
static inline bool vault_filled(const struct vault *vault)
{
    return vault->descriptor >= 0;
}
/* Keeps one more change. False with errno. */
bool vault_add_change(struct vault *vault, const void *bytes, size_t length);
/* Wipes the key, without which nobody can decrypt the rest. Harmless on VAULT_INIT. */
void vault_drop(struct vault *vault);

#endif
