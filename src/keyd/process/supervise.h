/*
 * immured as a service: a supervisor that has no keys and talks to no client, and a key process,
 * which is this program started again behind its walls.
 *
 * The supervisor opens the files that the configuration names, a few at a time, and hands them to
 * the key process, which opens none (daemon/hand_over.h). It keeps what that one has read, sealed:
 * when a key process dies, the next gets the very same, whatever has become of the files by then.
 *
 * The supervisor owns the listening socket, on which one key process follows another. At HUP a new
 * one, with the configuration and the keys of that moment, is started beside the old one, which is
 * told to leave when the new one answers. Clients lose their connection, connect again to the same
 * socket, and ask again for what was not answered. What cannot be taken over is given up for good,
 * with a line that says why.
 */
#ifndef KEYD_PROCESS_SUPERVISE_H
#define KEYD_PROCESS_SUPERVISE_H

#include "keyd/sign/backend.h"

/* Until TERM or INT. Returns the exit status; the reason of a failure was logged. */
int supervise(const char *config, const struct backend *const *backends);

#endif
