/*
 * Takes the key files of sections `keys` that a supervisor hands over, at the start and at run
 * time. A file that cannot be used is one line in the log, and stops nothing.
 */
#ifndef KEYD_KEYS_KEY_INTAKE_H
#define KEYD_KEYS_KEY_INTAKE_H

#include "keyd/keys/compact.h"
#include "keyd/keys/files.h"

struct key_intake {
    struct compact_keys *keys;
    struct secret *pass_phrases; /* by group; read at the start */
    struct secret reading;       /* room for one file, while files are read */
    size_t refused;              /* at the start */
};

/* False: out of memory, or a pass phrase cannot be read; reason logged. */
bool key_intake_begin(struct key_intake *intake, struct compact_keys *keys);
/* `files` has the files with the pass phrases. False: reason logged. */
bool key_intake_read_phrases(struct key_intake *intake, const struct files *files);
/* Reads and closes a file. `item` is "SECTION ID NAME". `descriptor` is -errno if the file could
 * not be opened. NULL with one line in `reason` (`size` bytes). *known: the key was there before.
 */
struct compact_key *key_intake_add(struct key_intake *intake, const char *item, int descriptor,
                                   bool *known, char *reason, size_t size);
/* Counts a file that could not be used at the start, and logs it unless there were many. */
void key_intake_refuse(struct key_intake *intake, const char *reason);
/* Harmless on an all-zero struct. */
void key_intake_end(struct key_intake *intake);

#endif
