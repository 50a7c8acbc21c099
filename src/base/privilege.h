/* Dropping root privileges for good. */
#ifndef BASE_PRIVILEGE_H
#define BASE_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct identity {
    uid_t uid;
    gid_t gid;
};

/* `user` is a name from the password database, or a number that is both the uid and the gid. Both
 * ids must be mapped in this user namespace. Reads /etc/passwd and /proc, so call it before the
 * sandbox closes the file system. False with one line in `error` (`size` bytes). */
bool privilege_find(const char *user, struct identity *identity, char *error, size_t size);
/*
 * Switches the whole process (all its threads) to this identity, drops all supplementary groups and
 * verifies that there is no way back. False with one line in `error` (`size` bytes); the process
 * must then exit, because it may have changed only some of its ids.
 *
 * Without root it succeeds only if the process already is that user. The kernel clears the dumpable
 * flag and the parent-death signal, so set those afterwards.
 */
bool privilege_become(const struct identity *identity, char *error, size_t size);
/* privilege_find(), then privilege_become(). */
bool privilege_drop(const char *user, char *error, size_t size);

#endif
