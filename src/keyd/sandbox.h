/*
 * The doors of immured, closed in this order. In a build with a sanitizer the last ones stay open,
 * because its run time needs them, and the log says so.
 */
#ifndef KEYD_SANDBOX_H
#define KEYD_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* All return false with the reason logged; immured must then end. */

/* Before any key is read: no core files, no new privileges through exec, nothing inherited but
 * standard streams and `keep` (-1: none), as many descriptors as are allowed. */
bool sandbox_begin(const int *keep, size_t count);
/* With all files read and all threads running: another user (when started as root; NULL: the
 * default), not dumpable. `supervisor`: end when that parent does; 0: do not. */
bool sandbox_drop_user(const char *user, pid_t supervisor);
/* Last: from here on only the system calls that signing and talking need, in every thread; any
 * other kills the process. `more`: those of the signing backend, ended by -1, or NULL. */
bool sandbox_close(bool accepts, const int *more);

#endif
