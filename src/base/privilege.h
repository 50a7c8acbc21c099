/* Becoming a user without rights, for good. */
#ifndef BASE_PRIVILEGE_H
#define BASE_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The whole process (all its threads) becomes `user`: a name from the password database, or a
 * number that stands for the uid and the gid. No supplementary groups are left, and it is tried
 * out that there is no way back. False with one line in `error` (`size` bytes); the process must
 * then end, because it may have got half of the way.
 *
 * Without root it succeeds only if the process is that user already. Reads /etc/passwd: call it
 * before the file system is closed. Clears dumpable and the parent-death signal: set those after.
 */
bool privilege_drop(const char *user, char *error, size_t size);

#endif
