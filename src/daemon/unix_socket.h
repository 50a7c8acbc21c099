/*
 * The files of listening unix sockets: how they are made and removed, who owns them, and who may
 * connect.
 *
 * When a socket is bound, the identity of its file is noted. Later somebody may remove the file or
 * put another one in its place, even a link to a file that is no socket. No function here touches
 * such another file.
 */
#ifndef DAEMON_UNIX_SOCKET_H
#define DAEMON_UNIX_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/file_identity.h"

struct unix_socket_access {
    mode_t mode; /* users who have write permission may connect */
    uid_t user;  /* (uid_t)-1: leave the owner as it is */
    gid_t group; /* (gid_t)-1: leave the group as it is */
};

/* Makes the address of this path. False with errno: the path is too long. */
bool unix_socket_address(const char *path, struct sockaddr_un *address);
/* Removes the file of a socket at this path that a process has left behind. If a process still
 * serves the socket, waits up to `patience` (ns) for that process to end. False with errno:
 * EADDRINUSE if the socket is still served, ENOTSOCK if the file is not a socket. */
bool unix_socket_clear(const char *path, uint64_t patience);
/* Binds the socket. The file has this mode from the moment when it exists. False with errno. */
bool unix_socket_bind(int socket, const char *path, mode_t mode);

/* Notes the identity of the socket's file at this path. False with errno: ENOTSOCK if the file is
 * not a socket. */
bool unix_socket_identify(const char *path, struct file_identity *file);
/* These functions work on the noted file only. False with errno: ENOENT if the path leads to
 * another file, or to none. */
bool unix_socket_is_there(const char *path, const struct file_identity *file);
bool unix_socket_set_access(const char *path, const struct file_identity *file,
                            const struct unix_socket_access *access);
bool unix_socket_remove(const char *path, const struct file_identity *file);

#endif
