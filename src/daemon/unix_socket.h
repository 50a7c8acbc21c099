/*
 * The files of listening unix sockets: how they are made, whose they are, who may connect, and how
 * they go.
 *
 * Once it is bound, a socket's file is known by its identity. Somebody may remove it, or put
 * another one in its place, even a link to a file that is no socket: nothing here touches a file
 * that is not the same one any more.
 */
#ifndef DAEMON_UNIX_SOCKET_H
#define DAEMON_UNIX_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/file_identity.h"

struct unix_socket_access {
    mode_t mode; /* who has write permission may connect */
    uid_t user;  /* (uid_t)-1: stays as it is */
    gid_t group; /* (gid_t)-1: the same */
};

/* False with errno: the path is too long. */
bool unix_socket_address(const char *path, struct sockaddr_un *address);
/* Makes room for a file at this path: removes one that a process has left behind. If a process
 * still serves it, waits up to `patience` (ns) for that to end. False with errno: EADDRINUSE if the
 * socket is served, ENOTSOCK if the file is something else. */
bool unix_socket_clear(const char *path, uint64_t patience);
/* Binds. The file has its mode from the moment that it exists. False with errno. */
bool unix_socket_bind(int socket, const char *path, mode_t mode);

/* Which socket's file is there. False with errno: ENOTSOCK if it is not a socket's. */
bool unix_socket_identify(const char *path, struct file_identity *file);
/* All below do nothing to another file. False with errno: ENOENT if it is another one. */
bool unix_socket_is_there(const char *path, const struct file_identity *file);
bool unix_socket_set_access(const char *path, const struct file_identity *file,
                            const struct unix_socket_access *access);
bool unix_socket_remove(const char *path, const struct file_identity *file);

#endif
