/*
 * immured as a service: a supervisor, which has no keys and talks to no client, and a key process,
 * which is the same program, started again in its sandbox.
 *
 * The supervisor opens the files that the configuration names, a few at a time, and hands them to
 * the key process, which opens none itself (daemon/hand_over.h). It keeps a sealed copy of what the
 * key process has read. When a key process dies, the next one gets exactly that, even if the files
 * have changed since.
 *
 * The supervisor owns the listening socket, on which one key process follows another. At HUP it
 * starts a new key process beside the old one, with the configuration and the keys of that moment.
 * When the new one answers, it tells the old one to end. Clients lose their connection, connect
 * again to the same socket, and repeat the requests that were not answered. If the new key process
 * does not start, its configuration is dropped, and a line in the log says why.
 */
#ifndef KEYD_PROCESS_SUPERVISE_H
#define KEYD_PROCESS_SUPERVISE_H

#include "keyd/sign/driver.h"

/* Runs until TERM or INT. Returns the exit status; the reason for a failure was logged. */
int supervise(const char *config, const struct driver *const *drivers);

#endif
