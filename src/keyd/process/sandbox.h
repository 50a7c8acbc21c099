/*
 * The doors of immured, closed in this order. In a build with a sanitizer the last ones stay open,
 * because its run time needs them, and the log says so.
 */
#ifndef KEYD_PROCESS_SANDBOX_H
#define KEYD_PROCESS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/privilege.h"
#include "keyd/keys/arena.h"
#include "walls/report.h"

/* All return false with the reason logged; immured must then end. What the kernel, or who started
 * immured, does not grant is left out, and the report says so. */

/* Before any key is read: no core files, no new privileges through exec, no memory that is first
 * written and then run, nothing inherited but standard streams and `keep` (negative: none), which
 * is sorted. `accepts`: as many descriptors as are allowed; else few. */
bool sandbox_begin(int *keep, size_t count, bool accepts, struct report *report);

/* Who immured will be: the user that is named, when started as root else the default; else who it
 * is. Reads the password database. */
bool sandbox_find_user(const char *user, struct identity *identity);

/* Namespaces of its own: as root, and before there are more threads, since they are each thread's.
 * Sockets that are there stay where they were made. `more`: system calls that drivers need, ended
 * by -1. */
void sandbox_enter_namespaces(const int *more, struct report *report);
/* Another user, not dumpable: with all threads, also those that are there. `supervisor`: end when
 * that parent does; 0: do not. */
bool sandbox_become(const struct identity *identity, pid_t supervisor, struct report *report);
/* With all files read and before there are `threads` threads: its code sealed, no files and no
 * network by Landlock, but for what `more` needs. */
bool sandbox_isolate(unsigned threads, const int *more, struct report *report);
/* Last: the arena's place is sealed, and from here on only the
 * system calls that signing and talking need, in every thread; any other kills the process. */
bool sandbox_close(bool accepts, const int *more, const struct arena *arena, struct report *report);

#endif
