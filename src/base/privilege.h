/* Becoming a user without rights, for good. */
#ifndef BASE_PRIVILEGE_H
#define BASE_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct identity {
    uid_t uid;
    gid_t gid;
};

/* `user`: a name from the password database, or a number that stands for the uid and the gid, which
 * must be mapped in this user namespace. Reads /etc/passwd and /proc: call it before the file
 * system is closed. False with one line in `error` (`size` bytes). */
bool privilege_find(const char *user, struct identity *identity, char *error, size_t size);
/*
 * The whole process (all its threads) becomes it. No supplementary groups are left, and it is tried
 * out that there is no way back. False with one line in `error` (`size` bytes); the process must
 * then end, because it may have got half of the way.
 *
 * Without root it succeeds only if the process is that user already. Clears dumpable and the
 * parent-death signal: set those after.
 */
bool privilege_become(const struct identity *identity, char *error, size_t size);
/* Both. */
bool privilege_drop(const char *user, char *error, size_t size);

#endif
