/*
 * The files that the configuration names, as they were when it was put in force: each read once,
 * and sealed at once.
 *
 *     files_begin, files_add*, files_seal, files_read*    of a new configuration
 *     files_open, files_read*                             when this process follows another
 *
 * What is sealed is in a file of memory without a name, which a supervisor keeps (daemon/vault.h):
 * a record for each file, with its name in the clear and its content encrypted and authenticated by
 * AES-256-GCM. The key is random and used for one vault only, whose records are its nonces' count.
 * So nothing of a key file is outside secret memory in a form that can be read, in whichever
 * process and wherever the pages of that file come to lie.
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
#define FILES_KEY_SIZE 32 /* bytes, of what they are sealed with */

struct files_place {
    off_t offset;    /* of its record */
    uint32_t length; /* of the file, which is the plain text */
    int error;       /* why it could not be read; 0: it was */
};

struct files {
    struct name_table names;
    struct files_place *places; /* of the names, and of their order */
    size_t room;
    int descriptor;        /* of what is sealed */
    off_t end;             /* of the last record */
    struct secret key;     /* FILES_KEY_SIZE bytes */
    struct secret reading; /* while it is added to: room for one file */
    EVP_CIPHER *cipher;
};

#define FILES_INIT ((struct files){.descriptor = -1})

/* All that return bool: false with errno; then files_close() is due. */

/* An empty one, with a new key. */
bool files_begin(struct files *files);
/* Reads and seals a file that is open for reading, and closes it in any case; or notes why there is
 * none (-errno). A name that is there already is left as it is. False with errno if it cannot be
 * kept, whereas what is wrong with the file shows when it is read. */
bool files_add(struct files *files, const char *name, int descriptor);
/* Nobody will add to it any more, whoever has the descriptor. */
bool files_seal(struct files *files);
/* One that another process has sealed: takes the descriptor, copies the key. EPROTO: it is none. */
bool files_open(struct files *files, int descriptor, const uint8_t key[static FILES_KEY_SIZE]);

/* The whole file, in new secret memory. False with errno: why it could not be read, EFBIG if it is
 * longer than `longest`, ENOENT if no such name was added. */
bool files_read(const struct files *files, const char *name, size_t longest, struct secret *secret);
/* The same, and then only the first line counts. */
bool files_read_line(const struct files *files, const char *name, size_t longest,
                     struct secret *secret);
/* The name of the file that a file: URI names; NULL: the URI is another. */
const char *files_name_of_uri(const char *uri);
/* Harmless on FILES_INIT. */
void files_close(struct files *files);

#endif
