/* What a program inherits of signals: who starts it may have blocked or ignored any. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <stdbool.h>

/*
 * First of all in a program: no signal is blocked, and none ignored. A parent that ignores SIGCHLD
 * would never hear of the end of its children, and a signalfd never of a signal that is ignored.
 *
 * SIGINT and SIGQUIT stay ignored where they are: a shell does that to what it starts in the
 * background. So does SIGHUP if not `hangup`: nohup(1) asks for that, but for a service it means to
 * read its configuration again.
 */
void signals_reset(bool hangup);

#endif
