/*
 * The sandbox of immured, whose parts are entered in this order. A build with a sanitizer leaves
 * the last parts out, because its run time needs what they forbid, and the log says so.
 */
#ifndef KEYD_PROCESS_SANDBOX_H
#define KEYD_PROCESS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/privilege.h"
#include "keyd/keys/arena.h"
#include "keyd/keys/packed.h"
#include "walls/report.h"

/* When a function returns false, the reason was logged, and immured must end. What the kernel or
 * the caller of immured does not grant is left out, and the report says so. */

/* Called before any key is read: no core files, no new privileges through exec, no memory that is
 * first written and then run, and no inherited descriptors but the standard streams and `keep`
 * (negative: none), which is sorted. `accepts`: allow as many descriptors as possible; else few. */
bool sandbox_begin(int *keep, size_t count, bool accepts, struct report *report);

/* Finds the user that immured will be: the named one; else, when started as root, the default one;
 * else the current one. Reads the password database. */
bool sandbox_find_user(const char *user, struct identity *identity);

/* Enters new namespaces. Called as root, and before there are more threads, because namespaces
 * belong to a thread. Existing sockets keep their namespace. `more`: system calls that drivers
 * need, ended by -1. */
void sandbox_enter_namespaces(const int *more, struct report *report);
/* Changes the user of all threads, and makes the process not dumpable. `supervisor`: the parent
 * with which the process ends; 0: none. */
bool sandbox_become(const struct identity *identity, pid_t supervisor, struct report *report);
/* Called after all files are read and before there are `threads` threads: seals the code, and
 * forbids files and network by Landlock, except for what `more` needs. */
bool sandbox_isolate(unsigned threads, const int *more, struct report *report);
/* What the filter of system calls must leave. */
struct sandbox_needs {
    bool accepts;
    const int *more; /* as above */
    int hand_over;   /* the only socket on which descriptors arrive; -1: none do */
};

/* Called last: seals the mappings with keys, and allows every thread only the system calls that
 * signing and talking to clients need. Any other call kills the process. */
bool sandbox_close(const struct sandbox_needs *needs, const struct arena *arena,
                   const struct packed *packed, struct report *report);

#endif
