/* Where the files of a key process come from. All are read and sealed into `files`
 * (keyd/keys/files.h), with no more than some tens of descriptors open at once. */
#ifndef KEYD_KEYS_INTAKE_H
#define KEYD_KEYS_INTAKE_H

#include <sys/types.h>

#include "base/file_table.h"
#include "keyd/keys/files.h"

/* Those that return bool: false with the reason logged, or that of the other side, by itself.
 * files_close() is due in any case. */

/* From a supervisor, by daemon/hand_over.h: what it opens, which it is given back sealed; or what
 * it has kept. Closes the socket. */
bool intake_receive(struct files *files, int socket);
/* From who has opened them and left them to this process. Empties the table. */
bool intake_table(struct files *files, struct file_table *table);

/* For a key process without either. Starts a child that opens the files, and hands them over like a
 * supervisor: as the user of now, for whoever this process will be by then. The socket for
 * intake_receive(), after which the child ends; -1: reason logged. */
int intake_open(const struct name_table *names, pid_t *child);

#endif
