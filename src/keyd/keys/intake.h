/* Where the files of a key process come from. All of them are read and sealed into `files`
 * (keyd/keys/files.h), with only some tens of descriptors open at once. */
#ifndef KEYD_KEYS_INTAKE_H
#define KEYD_KEYS_INTAKE_H

#include <sys/types.h>

#include "base/file_table.h"
#include "keyd/keys/files.h"
#include "keyd/keys/key_intake.h"

/* When a function returns false, this process or the other side has logged the reason. The caller
 * calls files_close() in any case. */

/* Receives files from a supervisor (daemon/hand_over.h): either open ones, which are sealed and
 * given back to it, or a vault that it has kept. Those of sections `keys` go to `keys`. The caller
 * closes the socket. */
bool intake_receive(struct files *files, struct key_intake *keys, int socket);
/* Takes files that are already open in this process. Empties the table. */
bool intake_table(struct files *files, struct file_table *table);

/* For a key process that has neither. Starts a child that opens the files as the current user, and
 * hands them over like a supervisor, even if this process changes its user meanwhile. Returns the
 * socket for intake_receive(), after which the child ends; -1: reason logged. */
int intake_open(const struct name_table *names, pid_t *child);

#endif
