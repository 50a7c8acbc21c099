/*
 * immured as a service: a supervisor that has no keys and talks to no client, and a key process,
 * which is this program started again behind its walls.
 *
 * The supervisor opens all files that the configuration names, and hands them to the key process,
 * which opens none. It keeps them open: when a key process dies, the next gets the same, whatever
 * has become of their names by then.
 *
 * The supervisor owns the listening socket, on which one key process follows another. At HUP a new
 * one, with the configuration and the keys of that moment, is started beside the old one, which is
 * told to leave when the new one answers. Clients lose their connection, connect again to the same
 * socket, and ask again for what was not answered.
 */
#ifndef KEYD_SUPERVISE_H
#define KEYD_SUPERVISE_H

#include "keyd/backend/backend.h"

/* Until TERM or INT. Returns the exit status; the reason of a failure was logged. */
int supervise(const char *config, const struct backend *const *backends);

#endif
