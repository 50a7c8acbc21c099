/*
 * The files that the configuration names, as they were when it was put in force: each is read once
 * and sealed at once.
 *
 *     files_begin, files_add*, files_seal, files_read*    for a new configuration
 *     files_open, files_read*                             when this process follows another
 *
 * The sealed files are in an anonymous memory file, the vault, which a supervisor keeps
 * (daemon/vault.h). It has a record for each file, with the name in the clear and the content
 * encrypted and authenticated by AES-256-GCM. The key is random and used for one vault only; the
 * nonce is the number of the record. So outside secret memory no key file is readable, in any
 * process, and wherever the kernel puts the pages of the vault.
 */
#ifndef KEYD_KEYS_FILES_H
#define KEYD_KEYS_FILES_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/name_table.h"
#include "keyd/keys/secret.h"

/* A PEM file may hold a certificate chain beside the key. */
#define FILES_LONGEST 65536
#define FILES_KEY_SIZE 32 /* bytes of the vault's key */

struct files_place {
    off_t offset;    /* of its record */
    uint32_t length; /* of the file's content */
    int error;       /* why the file could not be read; 0: it was read */
};

struct files {
    struct name_table names;
    struct files_place *places; /* one for each name, in the same order */
    size_t room;
    int descriptor;        /* of the vault */
    off_t end;             /* of the last record */
    struct secret key;     /* FILES_KEY_SIZE bytes */
    struct secret reading; /* room for one file, until files_seal() */
    EVP_CIPHER *cipher;
};

#define FILES_INIT ((struct files){.descriptor = -1})

/* The functions that return bool fail with errno; the caller then still calls files_close(). */

/* Makes an empty vault with a new key. */
bool files_begin(struct files *files);
/* Reads and seals an open file, and closes it in any case. A descriptor of -errno records why the
 * file could not be opened. A name that was added before keeps its content. False with errno if the
 * vault cannot take it; an error of the file itself is reported by files_read(). */
bool files_add(struct files *files, const char *name, int descriptor);
/* Allocates room for as much as a record holds. */
bool files_make_room(struct secret *secret);
/* Reads an open file of at most FILES_LONGEST bytes into such room. Returns 0 or errno. */
int files_read_open(int descriptor, struct secret *content);
/* Seals bytes that are no file, in such room, under a name. Their room is wiped. */
bool files_add_bytes(struct files *files, const char *name, struct secret *content);
/* Makes the vault read-only for everybody who has the descriptor. */
bool files_seal(struct files *files);
/* Opens a vault that another process has sealed: takes the descriptor and copies the key. EPROTO:
 * it is not a vault. */
bool files_open(struct files *files, int descriptor, const uint8_t key[static FILES_KEY_SIZE]);

/* Reads the whole file into new secret memory. False with errno: the reason why the file could not
 * be read, EFBIG if it is longer than `longest`, ENOENT if no such name was added. */
bool files_read(const struct files *files, const char *name, size_t longest, struct secret *secret);
/* The same, but only the first line. */
bool files_read_line(const struct files *files, const char *name, size_t longest,
                     struct secret *secret);
/* The name of the file in a file: URI; NULL for any other URI. */
const char *files_name_of_uri(const char *uri);
/* Harmless on FILES_INIT. */
void files_close(struct files *files);

#endif
