/* Resets the signal state that a program inherits: its parent may have blocked or ignored any
 * signal. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <stdbool.h>

/*
 * Unblocks all signals and resets their dispositions; main() calls it first. A process that ignores
 * SIGCHLD cannot wait for its children, and a signalfd never receives a signal that is ignored.
 *
 * SIGINT and SIGQUIT stay ignored if they are, because a shell ignores them for its background
 * jobs. SIGHUP stays ignored, as nohup(1) wants it, unless `hangup` is set: for a service it means
 * "read the configuration again".
 */
void signals_reset(bool hangup);

#endif
