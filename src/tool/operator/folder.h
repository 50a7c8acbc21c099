/*
 * Certificates in a folder that immure-proxy reads, and how they are changed: whoever reads the
 * folder, and whenever this program is killed, there is either the certificate before with its key
 * or the new one with its own.
 *
 * A certificate NAME has the files NAME.crt and NAME.key, or the one file NAME.pem with both. What
 * is not in place yet, or is not any more, has a hidden name, which the proxy leaves alone:
 * ".NAME.crt.immure-new" and ".NAME.crt.immure-old". The order of all changes follows one rule: the
 * key comes first into place and is hidden last, so
 *
 *     a hidden chain without a hidden key belongs to the key that is in place
 *
 * and folder_open(), which finds what a program that was killed has left, puts it there. It removes
 * all other hidden files.
 */
#ifndef OPERATOR_FOLDER_H
#define OPERATOR_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define FOLDER_NAME_MAX 200

struct folder {
    const char *path;
    int descriptor; /* locked against other programs of this kind */
    char problem[640];
};

/* The files of one certificate. */
struct folder_pair {
    char name[FOLDER_NAME_MAX + 1];
    bool one_file; /* NAME.pem */
};

/* What a file is to have: a text (NULL: none), and behind it the bytes of another file (NULL:
 * none), which do not come into this process. */
struct folder_content {
    const char *text;
    size_t length;
    const char *copied_from;
};

/* All functions that return bool return false with one line in folder->problem. */

/* Locks the folder, and ends what a program that was killed has begun. After false there is nothing
 * to close. */
bool folder_open(struct folder *folder, const char *path);
void folder_close(struct folder *folder);

/* Whether a file or a folder of this name is there, in any of the layouts that the proxy reads. */
bool folder_has(const struct folder *folder, const char *name);
/* Whether the files of the pair are there, and are regular files; the key need not be there if it
 * is not `needed`. */
bool folder_has_pair(struct folder *folder, const struct folder_pair *pair, bool needed);
/* Whether lego or another program manages the pair. NULL, or its name. */
const char *folder_manager(const struct folder *folder, const struct folder_pair *pair);

/* Puts the files in place; those that are there stay, hidden, until folder_settle(). `key` is not
 * used for one file. A new key has mode 0600; owners, and the mode of a new chain, are those of the
 * files before or of the other files in the folder. */
bool folder_put(struct folder *folder, const struct folder_pair *pair,
                const struct folder_content *chain, const struct folder_content *key);
/* Hides the files, and the OCSP response of the certificate, until folder_settle(). */
bool folder_hide(struct folder *folder, const struct folder_pair *pair);
/* Puts what is hidden back into place. */
bool folder_restore(struct folder *folder, const struct folder_pair *pair);
/* Removes what is hidden. */
bool folder_settle(struct folder *folder, const struct folder_pair *pair);

#endif
